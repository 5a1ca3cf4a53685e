import type { GatewayError } from '../../../src/errors.ts';
import type { KnownModel, Lease, LeaseSeen, ModelFacts, Upstream } from '../../../src/exchange.ts';
import { canonicalModel } from '../../../src/fields/model-name.ts';
import type { RunningModel } from '../../../src/fleet/asking/answers.ts';
import type { Herd } from '../../../src/fleet/fleet.ts';
import { unionOfModels, unionOfRunners } from '../../../src/fleet/union.ts';

/** What is known of one upstream. */
export interface Facts {
  /** Default: what the configuration says. */
  isBox?: boolean;
  isAlive?: boolean;
  /** Undefined: its list is not known. */
  models?: readonly string[];
  /** Of `models`: those that Ollama's cloud would serve. */
  remote?: readonly string[];
  running?: readonly RunningModel[];
  inFlight?: number;
  isCordoned?: boolean;
  /** Of every model. */
  model?: ModelFacts;
  /** With every model. */
  isTripped?: boolean;
  /** What it answers instead of a lease. */
  turnsAway?: GatewayError;
  /** What a lease says that its load took; 0 unless said. */
  loadMs?: number;
  /** What `checkAlive` finds. */
  answersProbe?: boolean;
}

/** Knowledge of the boxes as a test writes it down; it notes what it is told. */
export class FakeHerd implements Herd {
  readonly facts = new Map<string, Facts>();
  readonly noted: string[] = [];
  readonly probed: string[] = [];
  /** What leases were told at their end, where they were told. */
  readonly ends: LeaseSeen[] = [];
  learned = 0;
  readonly #upstreams: readonly Upstream[];

  constructor(upstreams: readonly Upstream[]) {
    this.#upstreams = upstreams;
  }

  /** Says what is known of an upstream, by name; adds to what was said. */
  know(name: string, facts: Facts): void {
    if (this.#upstreams.length > 0 && !this.#upstreams.some((upstream) => upstream.name === name))
      throw new Error(`no upstream ${name}`);
    this.facts.set(name, { ...this.facts.get(name), ...facts });
  }

  #of({ name }: Upstream): Facts {
    return this.facts.get(name) ?? {};
  }

  isBox = (upstream: Upstream) => this.#of(upstream).isBox ?? upstream.kind === 'box';
  isProvenBox = (upstream: Upstream) => this.#of(upstream).isBox === true;
  isAlive = (upstream: Upstream) => this.#of(upstream).isAlive;
  hasModel = (upstream: Upstream, model: string) => this.#of(upstream).models?.some((name) => isSame(name, model));
  isRemote = (upstream: Upstream, model: string) => this.#of(upstream).remote?.some((name) => isSame(name, model)) ?? false;
  isResident = (upstream: Upstream, model: string) => this.#of(upstream).running?.some(({ name }) => isSame(name, model));
  isTripped = (upstream: Upstream) => this.#of(upstream).isTripped ?? false;
  isCordoned = (upstream: Upstream) => this.#of(upstream).isCordoned ?? false;
  factsOf = (upstream: Upstream) => this.#of(upstream).model;
  inFlight = (upstream: Upstream) => this.#of(upstream).inFlight ?? 0;
  checkAlive = async (upstream: Upstream) => {
    this.probed.push(upstream.name);
    return this.#of(upstream).answersProbe ?? true;
  };
  checkResident = async (upstream: Upstream, model: string) => this.isResident(upstream, model);
  noteAnswer = (upstream: Upstream) => void this.noted.push(`answer ${upstream.name}`);
  noteFailure = (upstream: Upstream, error: GatewayError) => void this.noted.push(`failure ${upstream.name} ${error.code}`);
  noteMissing = (upstream: Upstream, model: string) => void this.noted.push(`missing ${upstream.name} ${model}`);
  enter = (upstream: Upstream) => this.know(upstream.name, { inFlight: this.inFlight(upstream) + 1 });
  leave = (upstream: Upstream) => this.know(upstream.name, { inFlight: this.inFlight(upstream) - 1 });

  predict = () => undefined;
  place: Herd['place'] = () => undefined;
  explain = () => [];
  admit = (upstream: Upstream): Lease => {
    const { turnsAway, loadMs = 0 } = this.#of(upstream);
    if (turnsAway !== undefined) throw turnsAway;
    this.enter(upstream);
    let isOver = false;
    return {
      queuedMs: 0,
      loadMs,
      began: () => undefined,
      end: (seen) => {
        if (!isOver && seen !== undefined) this.ends.push(seen);
        if (!isOver) this.leave(upstream);
        isOver = true;
      },
    };
  };

  start = () => undefined;
  stop = () => undefined;
  catchUp = () => undefined;
  learn = async () => {
    this.learned++;
  };
  models = () =>
    unionOfModels(this.#upstreams.map((upstream) => ({ name: upstream.name, catalogue: this.#catalogueOf(upstream) })));
  running = () => unionOfRunners(this.#upstreams.map(({ name }) => ({ name, running: this.facts.get(name)?.running ?? [] })));
  describe = () => [];
  release = () => undefined;
  hasAnsweringBox = () => [...this.facts.values()].some(({ isAlive }) => isAlive === true);
  modelsOn = (upstream: Upstream) => [...(this.#catalogueOf(upstream)?.values() ?? [])];
  runnerOn = (upstream: Upstream, model: string) => this.#of(upstream).running?.find(({ name }) => isSame(name, model));

  #catalogueOf(upstream: Upstream): ReadonlyMap<string, KnownModel> | undefined {
    const { models, remote = [] } = this.#of(upstream);
    return models && new Map(models.map((name) => [canonicalModel(name), knownModel(name, remote.includes(name))]));
  }
}

function isSame(one: string, other: string): boolean {
  return canonicalModel(one) === canonicalModel(other);
}

export function knownModel(name: string, isRemote = false): KnownModel {
  return {
    name,
    digest: `sha-${name}`,
    tag: `{"name":"${name}","model":"${name}","size":1000}`,
    sizeBytes: 1000,
    modifiedAt: '2026-01-01T00:00:00Z',
    remoteHost: isRemote ? 'https://ollama.com' : undefined,
  };
}

export function runner(name: string, vramBytes = 1000): RunningModel {
  return {
    name,
    digest: `sha-${name}`,
    item: `{"name":"${name}"}`,
    sizeBytes: 1000,
    vramBytes,
    contextLength: 4096,
    expiresAt: '2026-01-01T01:00:00Z',
  };
}
