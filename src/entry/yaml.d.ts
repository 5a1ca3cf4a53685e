/** YAML as text: wrangler's Text modules and esbuild's text loader. Only the Workers entry imports any. */
declare module '*.yaml' {
  const text: string;
  export default text;
}
