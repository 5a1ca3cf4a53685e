/** Text for people: columns that stand below each other, sizes, times, and nothing that steers a terminal. */

/** What boxes and files say may hold anything; control characters would move the cursor or worse. */
export function plainText(text: string, maxLength = 500): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  const plain = text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]+/g, ' ');
  return plain.length > maxLength ? `${plain.slice(0, maxLength - 1)}…` : plain;
}

/** Two spaces between columns; nothing at the ends of lines. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const plain = rows.map((row) => row.map((cell) => plainText(cell)));
  const widths: number[] = [];
  for (const row of plain)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, lengthOf(cell));
  return plain.map((row) =>
    row
      .map((cell, index) => cell + ' '.repeat((widths[index] ?? 0) - lengthOf(cell)))
      .join('  ')
      .trimEnd(),
  );
}

function lengthOf(text: string): number {
  return [...text].length;
}

/** As `ollama list` writes sizes: 1000 bytes are a kilobyte. */
export function sizeText(bytes: number): string {
  if (bytes >= 999_950_000) return `${(bytes / 1e9).toFixed(1)} GB`;
  if (bytes >= 999_500) return `${Math.round(bytes / 1e6)} MB`;
  return `${Math.ceil(bytes / 1e3)} kB`;
}

/** "3 s", "4 min", "2 h", "5 d". */
export function spanText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}

/** "1 pull", "2 pulls". */
export function countText(count: number, what: string, plural = `${what}s`): string {
  return `${count} ${count === 1 ? what : plural}`;
}

/** The first names, and how many more. */
export function listText(names: readonly string[], most = 10): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
