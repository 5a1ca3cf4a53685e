/** The part of Bun's global that Corral uses. Bun's own type package would declare its globals for the whole project. */
export interface BunServer {
  readonly port: number;
  requestIP(request: Request): { address: string } | null;
  stop(closeActiveConnections?: boolean): Promise<void>;
}

export interface BunRuntime {
  readonly version: string;
  serve(options: {
    hostname: string;
    port: number;
    idleTimeout: number;
    maxRequestBodySize: number;
    fetch(request: Request, server: BunServer): Response | Promise<Response>;
    error(error: Error): Response;
  }): BunServer;
}

export const bun = (globalThis as unknown as { Bun: BunRuntime }).Bun;
