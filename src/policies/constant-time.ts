/** Compares texts in a time that tells nothing of how much of a guess was right; only of whether its length was. */
export function isSameText(known: string, presented: string): boolean {
  if (known.length !== presented.length) return false;
  let difference = 0;
  for (let index = 0; index < known.length; index++) difference |= known.charCodeAt(index) ^ presented.charCodeAt(index);
  return difference === 0;
}
