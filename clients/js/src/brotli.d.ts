// The part of the brotli package that is used here: its decoder, with an input and an output of ours.

declare module 'brotli/dec/decode.js' {
  interface Input {
    /** Puts up to so many bytes into a buffer at a place; how many. */
    read(buffer: Uint8Array, at: number, count: number): number;
  }
  interface Output {
    /** Grown to what a block announces, unless it is long enough. */
    buffer: { length: number };
    /** The first bytes of a buffer are the next ones of the output. */
    write(buffer: Uint8Array, count: number): number;
  }
  const decoder: { BrotliDecompress(input: Input, output: Output): void };
  export default decoder;
}
