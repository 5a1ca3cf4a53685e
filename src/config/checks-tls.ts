/** What must fit together where ports speak TLS. */
import { type CheckReport, type Keys, keysOf, listOf, namesOf } from './check-report.ts';
import type { YamlPath } from './diagnostic.ts';

interface Place {
  readonly path: YamlPath;
  readonly keys: Keys;
  /** A gateway with `tls` speaks HTTPS without saying so; a listener of `binds` must say it. */
  readonly usual: 'HTTP' | 'HTTPS';
}

export function checkTls(whole: Keys, report: CheckReport): void {
  for (const [b, bind] of listOf(whole.binds).entries()) {
    const places = listOf(keysOf(bind).listeners).map((listener, l) =>
      placeOf(['binds', b, 'listeners', l], listener, () => 'HTTP'),
    );
    checkPort(keysOf(bind).port, places, report);
  }
  for (const [name, value] of Object.entries(keysOf(whole.gateways))) {
    const gateway = keysOf(value);
    const path: YamlPath = ['gateways', name];
    const listeners = listOf(gateway.listeners);
    const usual = ({ tls }: Keys) => (tls === undefined ? 'HTTP' : 'HTTPS');
    const places =
      listeners.length === 0
        ? [placeOf(path, gateway, usual)]
        : listeners.map((listener, l) => placeOf([...path, 'listeners', l], listener, usual));
    checkPort(gateway.port, places, report);
  }
  const llm = keysOf(whole.llm);
  if (llm.tls === undefined) return;
  if (namesOf(llm.gateways).length > 0) report.error(['llm', 'tls'], 'llm.gateways cannot be used with llm.tls');
  else if (llm.port === undefined && keysOf(whole.gateways).default !== undefined)
    report.error(['llm', 'tls'], 'llm is served by the gateway "default" here: give that one the tls, or llm a port of its own');
}

function placeOf(path: YamlPath, value: unknown, usual: (keys: Keys) => Place['usual']): Place {
  const keys = keysOf(value);
  return { path, keys, usual: usual(keys) };
}

function protocolOf({ keys, usual }: Place): unknown {
  return keys.protocol ?? usual;
}

function checkPort(port: unknown, places: readonly Place[], report: CheckReport): void {
  for (const place of places) {
    const protocol = protocolOf(place);
    if (protocol === 'HTTPS' && place.keys.tls === undefined)
      report.error([...place.path, 'protocol'], "HTTPS listener requires 'tls': the files of a certificate and its key");
    // agentgateway takes this and speaks plain HTTP.
    if (protocol === 'HTTP' && place.keys.tls !== undefined)
      report.error([...place.path, 'tls'], 'tls needs protocol: HTTPS; without it everything would go in the clear');
  }
  const [first] = places;
  if (first === undefined) return;
  for (const place of places.slice(1)) {
    if (protocolOf(place) === protocolOf(first)) continue;
    report.error(
      [...place.path, place.keys.protocol === undefined ? 'hostname' : 'protocol'],
      `listeners on port ${String(port)} may not mix HTTPS and HTTP; give one of them another port`,
    );
  }
}
