// Numbers, times and bytes for people.

const grouped = new Intl.NumberFormat('en');

export function count(n: number | bigint): string {
  return grouped.format(n);
}

/** `1 record`, `2 records`. */
export function counted(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

export function bytes(n: number): string {
  if (n < 1000) return `${n} B`;
  for (const unit of ['kB', 'MB', 'GB']) {
    n /= 1000;
    if (n < 999.5) return `${n < 9.95 ? n.toFixed(1) : Math.round(n)} ${unit}`;
  }
  return `${(n / 1000).toFixed(1)} TB`;
}

/** A rate or ratio with as many digits as say something. */
export function figure(x: number): string {
  if (x === 0) return '0';
  if (x >= 99.95) return count(Math.round(x));
  return x >= 9.95 ? x.toFixed(1) : x.toFixed(2).replace(/0$/, '');
}

export function percent(x: number): string {
  if (x > 0 && x < 0.001) return '< 0.1 %';
  const hundred = x * 100;
  return `${hundred >= 9.95 || hundred === 0 ? Math.round(hundred) : hundred.toFixed(1)} %`;
}

/** A span of time in one unit. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  if (s < 90 * 60) return `${Math.round(s / 60)} min`;
  if (s < 36 * 3600) return `${Math.round(s / 3600)} h`;
  if (s < 700 * 86400) return `${count(Math.round(s / 86400))} days`;
  return `${count(Math.round(s / 86400 / 365.25))} years`;
}

/** Seconds since 1970 as local date and time. */
export function when(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return `${seconds} s`;
  const two = (n: number) => String(n).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

export function day(seconds: number): string {
  return when(seconds).slice(0, 10);
}

/** The beginning of a hash or owner. */
export function short(text: string, length = 11): string {
  return text.length <= length + 1 ? text : `${text.slice(0, length)}…`;
}

const TYPES = ['datum', 'genesis', 'comment', 'certificate', 'revocations'];
export function recordType(type: number): string {
  return TYPES[type] ?? `type ${type}`;
}

export const REPUTATION_GOOD = 63;
export function reputation(value: number): string {
  if (value >= REPUTATION_GOOD) return 'first here';
  return value === 0 ? 'somebody else was first here' : 'links to a newer record';
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A value as text if it is some, else as hexadecimal digits; `binary` says which. */
export function readable(value: Uint8Array): { text: string; binary: boolean } {
  try {
    const text = utf8.decode(value);
    // Control characters but tab and line ends, and what turns the direction of text around.
    if (!/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(text)) {
      return { text, binary: false };
    }
  } catch {
    // Not text.
  }
  return { text: Array.from(value, byte => byte.toString(16).padStart(2, '0')).join(' '), binary: true };
}

/** Four 32-bit words, most significant first, as a number. */
export function weightOf(words: number[]): number {
  return words.reduce((sum, word) => sum * 2 ** 32 + word, 0);
}
