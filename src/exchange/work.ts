/** What one call asks of a box, and what a box grants it: a slot, with the model in memory. */

/** What a call brings that decides where it goes and when its turn is. Made once per call, for boxes only. */
export interface Work {
  /** Tokens of the prompt, by estimate: what is wrong by half still places well. */
  readonly promptTokens: number;
  /** Of these, what earlier turns of the conversation had already: a box that served them has it in its cache. Left out: 0. */
  readonly earlierTokens?: number | undefined;
  /** Tokens of context that the client asks for; left out: it leaves that to others. */
  readonly numCtx?: number | undefined;
  /** Tells conversations apart and stays the same from turn to turn; undefined: every call stands by itself. */
  readonly conversation: string | undefined;
  /** Among whom slots are shared fairly: the key, or the trusted person behind it; empty for whoever has neither. */
  readonly sharer: string;
  /** Of two sharers, one of twice the weight gets twice the slots. */
  readonly weight: number;
  /** bulk: waits behind everything interactive. */
  readonly urgency: 'interactive' | 'bulk';
  /** Which of Ollama's ways loads the model. */
  readonly use: 'generate' | 'embed';
  /** What the model must be able to do besides, in the words of `/api/show`: a box refuses before it loads what is not. Left out: nothing. */
  readonly needs?: readonly ('tools' | 'thinking' | 'insert')[] | undefined;
}

/** What is asked of one box. */
export interface Ask {
  /** As it is sent to the box. */
  readonly model: string;
  /** Tokens of context; undefined leaves it to the box. */
  readonly numCtx: number | undefined;
  readonly work: Work;
  /** What was predicted when the box was chosen; undefined where there was no choice. What it came to teaches the box's rates. */
  readonly predicted?: Prediction | undefined;
}

/** Who waits for a lease. */
export interface Waiter {
  /** On the clock: no later than this in the queue. Loads have their own limit. Undefined: only the queue's own. */
  readonly deadlineMs: number | undefined;
  /** Calls `listener` once when the client has left: its place is given away; a load that it began goes on. */
  onGone(listener: () => void): void;
  /** Keeps the runtime from ending work that outlives the response. */
  waitUntil(work: Promise<unknown>): void;
  /** Told when the wait begins and whenever it changes: for headers and heartbeats. */
  onWait?(wait: Wait): void;
}

/** What somebody waits for before the box is asked. */
export interface Wait {
  readonly for: 'slot' | 'load';
  readonly boxName: string;
  /** Of those who wait for the same slots, 1 is next; 0 for loads. */
  readonly position: number;
}

/** A slot of a box, for one try. */
export interface Lease {
  readonly queuedMs: number;
  /** How long a load was waited for; 0: the model was in memory. */
  readonly loadMs: number;
  /** The first byte of the answer is there. */
  /**
   * Where the call has waited, and it was this process that let it in: the model is in memory with the context that was asked for, or with
   * this many tokens, where a larger load of somebody else's has served it as well.
   */
  readonly loaded?: { readonly numCtx: number | undefined } | undefined;
  began(): void;
  /** The slot is free again; what is known of the call teaches how fast the box is. Safe to call again. */
  end(seen?: LeaseSeen): void;
}

/** What became of a try. */
export interface LeaseSeen {
  readonly how: 'completed' | 'broken' | 'abandoned' | 'failed';
  /** What failed speaks of the box and not of the request: in a few words, for the log. */
  readonly fault?: string | undefined;
  /** What failed looks as if the model's runner had died. */
  readonly isCrash?: boolean | undefined;
  /** As the box counted them. */
  readonly promptTokens?: number | undefined;
  readonly outputTokens?: number | undefined;
}

/** Time to the first token that a box would need, by what is known now. Pure numbers, for placement and for people. */
export interface Prediction {
  /** Milliseconds: queue + load + eviction + prompt − cached. */
  readonly totalMs: number;
  /** Until a slot is free. */
  readonly queueMs: number;
  /** Of loading the model; 0 when it is in memory. */
  readonly loadMs: number;
  /** What others lose by the models that the load would push out. */
  readonly evictionMs: number;
  /** Of reading the prompt. */
  readonly promptMs: number;
  /** Of that, what the box has in its cache already. */
  readonly cachedMs: number;
}

/** One box's place among those that the configuration holds for equals. */
export interface Placing {
  readonly prediction: Prediction;
  /** Where the conversation's turns belong. */
  readonly isHome: boolean;
  /** 0 is asked first. */
  readonly rank: number;
}
