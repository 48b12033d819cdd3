/** A span of time as kubectl shows ages: `12s`, `3m20s`, `4h`, `5d`. */
export function shortDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return minutesAnd(minutes, seconds % 60);
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}

function minutesAnd(minutes: number, seconds: number): string {
  return seconds === 0 ? `${minutes}m` : `${minutes}m${seconds}s`;
}

/** How long ago a time of an object was; `-` where there is none. */
export function ageOf(time: string | undefined, now: number): string {
  const at = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(at) ? "-" : shortDuration(now - at);
}
