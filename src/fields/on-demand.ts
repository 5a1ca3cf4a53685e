/**
 * Modules that only some configurations need, and that take long to load: CEL, RE2, numbering plans. Options are read at once,
 * and a module can only be waited for. So whoever reads the first option that needs one throws `NotLoaded`; `withModules`,
 * which stands around the whole reading of a configuration, waits for the module and has it read once more.
 */

/** Thrown out of everything that reads a configuration, up to `withModules`. Not to be caught on the way. */
export class NotLoaded extends Error {
  override readonly name = 'NotLoaded';
  readonly loading: Promise<unknown>;

  constructor(loading: Promise<unknown>) {
    super('a module is not there yet: whoever reads a configuration does so within withModules');
    this.loading = loading;
  }
}

export interface OnDemand<Module> {
  /** The module. Throws NotLoaded as long as it is not there. */
  (): Module;
  load(): Promise<Module>;
}

/** `load`: an `import()` of the module. Called when it is first needed. */
export function onDemand<Module>(load: () => Promise<Module>): OnDemand<Module> {
  let module: Module | undefined;
  const loadNow = async (): Promise<Module> => {
    module ??= await load();
    return module;
  };
  const get = (): Module => {
    if (module === undefined) throw new NotLoaded(loadNow());
    return module;
  };
  return Object.assign(get, { load: loadNow });
}

/** What `work` gives, once the modules that it needs are there. It may be begun several times, and must bear that. */
export async function withModules<Result>(work: () => Result): Promise<Result> {
  for (;;) {
    try {
      return work();
    } catch (thrown) {
      if (!(thrown instanceof NotLoaded)) throw thrown;
      await thrown.loading;
    }
  }
}
