/** The part of Deno's global that Corral uses. */
export interface DenoClientOptions {
  readonly poolMaxIdlePerHost: number;
  readonly http2: boolean;
  readonly allowHost: boolean;
  readonly caCerts?: readonly string[];
  readonly cert?: string;
  readonly key?: string;
}

/** Opaque: only handed to `fetch`. */
export interface DenoClient {
  close(): void;
}

export interface ServeInfo {
  readonly remoteAddr: { readonly hostname?: string };
}

export interface DenoServer {
  readonly addr: { readonly hostname: string; readonly port: number };
  shutdown(): Promise<void>;
}

export interface DenoRuntime {
  readonly args: readonly string[];
  readonly version: { readonly deno: string };
  readonly stdout: { writeSync(bytes: Uint8Array): number };
  readonly stderr: { writeSync(bytes: Uint8Array): number };
  createHttpClient(options: DenoClientOptions): DenoClient;
  serve(
    options: {
      hostname: string;
      port: number;
      onListen?: (address: { hostname: string; port: number }) => void;
      /** PEM texts. */
      cert?: string;
      key?: string;
    },
    handler: (request: Request, info: ServeInfo) => Response | Promise<Response>,
  ): DenoServer;
  addSignalListener(signal: 'SIGINT' | 'SIGTERM', listener: () => void): void;
  exit(code: number): never;
}

export const deno: DenoRuntime = (globalThis as unknown as { Deno: DenoRuntime }).Deno;
