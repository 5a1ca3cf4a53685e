/**
 * Names as Ollama compares them. Go's encoding/json matches object members to fields by Unicode *simple* case folding
 * (encoding/json fold.go), so `MODEL` and `meſſages` are read where `model` and `messages` are meant.
 */

/**
 * The name with every letter that folds to an ASCII letter written as that letter in lower case.
 *
 * Apart from A-Z exactly two runes have a simple folding to ASCII (Unicode CaseFolding.txt, status C): U+017F LONG S to `s`
 * and U+212A KELVIN SIGN to `k`. U+0130 (İ) has only full and Turkic ones, which Go leaves out. Other letters are left as they
 * are: a name that holds one can never equal an ASCII name, and Corral reads no others.
 */
export function foldName(name: string): string {
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code > 127 || (code >= 65 && code <= 90)) return name.replace(/[A-Z\u017f\u212a]/g, foldLetter);
  }
  return name;
}

// toLowerCase gives `k` for the Kelvin sign but keeps the long s, which is a lower-case letter already.
function foldLetter(letter: string): string {
  return letter === '\u017f' ? 's' : letter.toLowerCase();
}
