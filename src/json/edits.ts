/** Turns decisions about an object's members into splices of its text. */
import type { MemberSpan, ObjectSpan } from './scan.ts';
import type { Splice } from './splice.ts';

/** What becomes of a member: it stays as it is, it goes, or its text from `from` on is replaced. */
export type Fate = 'stays' | 'goes' | { readonly from: number; readonly insert: string };

/** `added` is the text of new members, without the comma before them; they come last. */
export function editSplices(span: ObjectSpan, fateOf: (member: MemberSpan) => Fate, added: string): Splice[] {
  const { members } = span;
  const fates = members.map(fateOf);
  const lastKept = fates.findLastIndex((fate) => fate !== 'goes');
  const splices: Splice[] = [];
  if (added !== '' && lastKept < 0) splices.push({ from: span.from + 1, to: span.from + 1, insert: added });
  let hasKept = false;
  for (const [index, member] of members.entries()) {
    const fate = fates[index] ?? 'stays';
    if (fate === 'goes') {
      splices.push({ ...removalOf(members, index, hasKept), insert: '' });
      continue;
    }
    hasKept = true;
    if (fate !== 'stays') splices.push({ from: fate.from, to: member.to, insert: fate.insert });
    if (added !== '' && index === lastKept) splices.push({ from: member.to, to: member.to, insert: `,${added}` });
  }
  return splices;
}

/** A member goes with one comma: the one before it, or, while no member before it stays, the one behind it. */
function removalOf(members: readonly MemberSpan[], index: number, hasKept: boolean): { from: number; to: number } {
  const from = members[index]?.from ?? 0;
  const to = members[index]?.to ?? 0;
  if (hasKept) return { from: members[index - 1]?.to ?? from, to };
  return { from, to: members[index + 1]?.from ?? to };
}
