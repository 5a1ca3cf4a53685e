/** Runtimes that open the port themselves have one door: of several binds one must be named. */
export type OnlyPort =
  | { readonly ok: true; readonly port: number | undefined }
  | { readonly ok: false; readonly problem: string };

/** `wanted` is CORRAL_BIND. `runtime` stands at the start of the message's main clause. */
export function onlyPortOf(ports: readonly number[], wanted: string | undefined, runtime: string): OnlyPort {
  const [first] = ports;
  const named = wanted?.trim() ?? '';
  if (named === '') {
    if (ports.length <= 1) return { ok: true, port: first };
    return {
      ok: false,
      problem: `${runtime} serves one bind and the configuration has ${ports.length} (ports ${ports.join(', ')}): name one, CORRAL_BIND=${first}`,
    };
  }
  const port = ports.find((each) => String(each) === named);
  if (port !== undefined) return { ok: true, port };
  return { ok: false, problem: `CORRAL_BIND=${named} names no bind of the configuration; its ports are ${ports.join(', ')}` };
}
