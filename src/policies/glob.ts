/**
 * Patterns in which `*` stands for any characters, none included. Not made into regular expressions: several `.*` in one
 * expression take time that grows with a power of a hostile text's length, this walks the text once.
 */
export function compileGlob(pattern: string): (text: string) => boolean {
  const [head = '', ...rest] = pattern.split('*');
  const tail = rest.pop();
  if (tail === undefined) return (text) => text === pattern;
  return (text) => {
    if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
    const end = text.length - tail.length;
    let from = head.length;
    for (const middle of rest) {
      const at = text.indexOf(middle, from);
      if (at < 0 || at + middle.length > end) return false;
      from = at + middle.length;
    }
    return true;
  };
}
