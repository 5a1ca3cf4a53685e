/** Why keys of agentgateway's are refused, and the way to get the same done where there is one (design decision 12). */

/**
 * section: may be left out, what else is in the file still serves. policy: what carries it must not open without it.
 * backend: what would be reached through it cannot be reached.
 */
export type ForeignKind = 'section' | 'policy' | 'backend';

interface Reason {
  readonly kind?: ForeignKind;
  readonly why: string;
}

const mcp: Reason = { why: 'Corral does not speak MCP; serve it with agentgateway on a port of its own' };
const mesh: Reason = { why: 'a part of the Kubernetes mesh, which Corral is not in' };
const vendorSignature: Reason = {
  why: 'signs requests the way one cloud vendor wants it; reach that vendor through its OpenAI-compatible address with a key: provider custom and auth.key',
};
const kubernetesParameter: Reason = { why: 'identifies the gateway in Kubernetes; leave it out' };
const httpTuning: Reason = { why: "the runtime's own HTTP server decides this; leave it out" };

/** By the key alone; a place may say something else of it. */
const byKey: Readonly<Record<string, Reason>> = {
  mcp,
  mcpAuthorization: mcp,
  mcpGuardrails: mcp,
  mcpAuthentication: mcp,
  a2a: { why: 'Corral does not speak A2A; a plain route to the agent passes everything through' },
  tcpRoutes: { why: 'Corral speaks HTTP only; forward TCP with a proxy such as nginx' },
  ui: { why: "agentgateway's own web interface; Corral's pages are at config.adminAddr" },
  workloads: mesh,
  services: mesh,
  service: { kind: 'backend', why: 'services exist in Kubernetes only; name the address in host: "name:port"' },
  dynamic: { kind: 'backend', why: 'would let each request choose the host that it reaches; name the hosts' },
  internal: { kind: 'backend', why: 'the admin pages have an address of their own: config.adminAddr' },
  aws: { ...vendorSignature, kind: 'backend' },
  invalid: { kind: 'backend', why: 'stands for a backend that could not be resolved; name one' },
  oidc: { why: 'logs browsers in, with sessions and cookies; put oauth2-proxy in front, and check its tokens with jwtAuth' },
  extProc: { why: 'needs a gRPC stream; use transformations, extAuthz over HTTP, or a guard with a webhook' },
  remoteRateLimit: { why: 'needs a gRPC service; use localRateLimit, with a key for a limit of each client' },
  backendTunnel: {
    why: 'reaches upstreams through a CONNECT proxy; let the system route to them, or name the proxy as the host',
  },
  inferenceRouting: { why: 'asks an endpoint picker of Kubernetes; Corral chooses among boxes by itself' },
  vertex: { ...vendorSignature, kind: 'backend' },
  bedrock: { ...vendorSignature, kind: 'backend' },
  azure: {
    kind: 'backend',
    why: 'write it as a custom provider: hostOverride RESOURCE.openai.azure.com:443, pathPrefix /openai/v1, and backendAuth with the key',
  },
  copilot: { ...vendorSignature, kind: 'backend' },
  moderation: { kind: 'policy', why: 'use ai.promptGuard with openAIModeration, which works on every backend' },
  awsRegion: vendorSignature,
  vertexRegion: vendorSignature,
  vertexProject: vendorSignature,
  azureResourceName: vendorSignature,
  azureResourceType: vendorSignature,
  azureApiVersion: vendorSignature,
  azureProjectName: vendorSignature,
  tunnelProtocol: mesh,
  hbone: mesh,
  spiffe: mesh,
  localXdsPath: mesh,
  xdsAddress: mesh,
  xdsAuthToken: mesh,
  caAddress: mesh,
  caAuthToken: mesh,
  namespace: kubernetesParameter,
  gateway: kubernetesParameter,
  network: kubernetesParameter,
  serviceAccount: kubernetesParameter,
  trustDomain: kubernetesParameter,
  additionalTrustDomains: kubernetesParameter,
  skipValidateTrustDomain: kubernetesParameter,
  clusterId: kubernetesParameter,
  dns: { why: "names are resolved by the runtime; leave it out, and set the system's resolver" },
  database: { why: 'Corral keeps no request database; read the access log, or send traces' },
  otlp: { why: 'the access log goes to standard output; collect it from there, or send traces with frontendPolicies.tracing' },
  policies: { why: 'name the collector in the top-level backends, with its policies, and say backend: NAME here' },
  storage: { why: 'the configuration is the file; leave it out' },
  modelCatalog: { why: 'costs are not counted; multiply the token metrics by your prices' },
  session: { why: 'belongs to browser logins (oidc), which are not there; leave it out' },
  workerThreads: { why: 'the runtime decides; start more processes behind one address for more threads' },
  backend: { why: 'connections to upstreams are pooled by the runtime; leave it out' },
  enableIpv6: { why: 'the address decides: --host 0.0.0.0 listens on IPv4 only' },
  customFunctions: { why: 'write the expression out where it is used' },
  tcp: {
    kind: 'section',
    why: "connections are the runtime's, which does not tell connecting from waiting: leave it out. Dead boxes are found within 2.2 s; for other hosts set http.requestTimeout or timeout.backendRequestTimeout",
  },
  proxyProtocol: { why: 'no runtime reads it; let the proxy in front speak HTTP and ask for a key' },
  proxy: { why: 'no runtime reads the PROXY protocol; let the proxy in front speak HTTP and ask for a key' },
  connect: { why: 'CONNECT is always denied; leave it out' },
  tls: {
    why: "handshakes are the runtime's; versions and cipher suites stand in the tls of each listener: minTLSVersion, cipherSuites",
  },
  networkExtAuthz: { why: 'asks before a request is there; use extAuthz over HTTP on the listener' },
  http1MaxHeaders: httpTuning,
  http1IdleTimeout: httpTuning,
  http1HeaderCase: httpTuning,
  http2WindowSize: httpTuning,
  http2ConnectionWindowSize: httpTuning,
  http2FrameSize: httpTuning,
  http2MaxHeaderSize: httpTuning,
  http2KeepaliveInterval: httpTuning,
  http2KeepaliveTimeout: httpTuning,
  maxConnectionDuration: httpTuning,
};

/** Where it says nothing itself: what a key is to those who may leave it out. */
function kindAt(place: string): ForeignKind {
  if (
    place === '' ||
    place === 'config' ||
    place.startsWith('config.') ||
    /^frontendPolicies\.(http|accessLog|logging|tracing)$/.test(place)
  )
    return 'section';
  return place === 'provider' || place === 'backends[]' ? 'backend' : 'policy';
}

/** Kept in front of every reason, so that one can look for them. */
export const foreignMessage = 'known to agentgateway, not supported';

export function reasonFor(place: string, key: string): { message: string; kind: ForeignKind } {
  const reason = byKey[key];
  const kind = reason?.kind ?? (key === 'tcpRoutes' ? 'section' : kindAt(place));
  return { message: reason === undefined ? foreignMessage : `${foreignMessage}: ${reason.why}`, kind };
}
