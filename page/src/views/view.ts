/** What a view is to the frame around it. */
export interface View {
  /** The heading, and the window's title. */
  title: string;
  /** The heading is for screen readers only: what is seen says it already. */
  hideTitle?: boolean;
  element: HTMLElement;
  /** The link of the navigation that leads here. */
  place?: string;
  /** What the box for names should hold. */
  query?: string;
  /** Begins, when the view is shown. */
  start?(): void;
  /** Ends whatever goes on. */
  stop?(): void;
}
