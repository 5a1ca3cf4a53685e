/** The part of Bun's global that Corral uses. Bun's own type package would declare its globals for the whole project. */
export interface BunServer {
  readonly port: number;
  requestIP(request: Request): { address: string } | null;
  stop(closeActiveConnections?: boolean): Promise<void>;
}

export interface BunServerTls {
  readonly serverName?: string;
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
  readonly requestCert?: boolean;
  readonly rejectUnauthorized?: boolean;
  /** As in the protocol: 0x0303 is TLS 1.2. */
  readonly minVersion?: number;
  readonly maxVersion?: number;
}

export interface BunRuntime {
  readonly version: string;
  serve(options: {
    hostname: string;
    port: number;
    idleTimeout: number;
    maxRequestBodySize: number;
    tls?: readonly BunServerTls[];
    /** Several servers may listen on one port (Linux). */
    reusePort?: boolean;
    fetch(request: Request, server: BunServer): Response | Promise<Response>;
    error(error: Error): Response;
  }): BunServer;
}

export const bun = (globalThis as unknown as { Bun: BunRuntime }).Bun;
