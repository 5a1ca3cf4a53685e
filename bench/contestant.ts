/** What the harness needs to know of a server to measure it. */

export interface Launch {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export interface Site {
  /** Where the server shall listen, on 127.0.0.1. */
  readonly port: number;
  readonly mockPort: number;
  /** A folder of its own for configuration, bundles and logs; it exists. */
  readonly folder: string;
  /** Where JavaScript runtimes shall leave a CPU profile when they end; undefined: no profiling. */
  readonly profileFolder: string | undefined;
}

/** What Node and Bun take to write a profile. */
export function profileFlags(site: Site): string[] {
  return site.profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${site.profileFolder}`];
}

export interface Contestant {
  readonly name: string;
  /** False: only when asked for by name. */
  readonly byDefault: boolean;
  /** Sent with every request. */
  headersFor(mockPort: number): Readonly<Record<string, string>>;
  /** Makes ready what starting needs; the reason why this contestant cannot run here, or undefined. Once per run. */
  prepare(): Promise<string | undefined>;
  /** The command that serves at `site.port`; undefined for the mock itself. */
  launch(site: Site): Launch | undefined;
}
