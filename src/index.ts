/** Where every runtime starts. The package's `imports` choose the entry: workerd, bun, deno or node. */

export * from '#entry';
export { default } from '#entry';
