/** Who sent the request, as policies have found out. */

/** Who is calling, as an authentication policy found out. */
export interface Identity {
  /** For logs: the key's `metadata.name` or `metadata.user`, never the key. */
  readonly name: string | undefined;
  readonly isAdmin: boolean;
  /** Patterns of model names (`x`, `x*`, `*x`, `*`); undefined allows all, an empty list none. */
  readonly allowedModels: readonly string[] | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** What is known of the caller beside the key: each member is a CEL variable of that name. */
export interface Claims {
  jwt?: Readonly<Record<string, unknown>>;
  /** The verified token itself, for `backendAuth.passthrough` and `jwt.rawToken`. A secret: never logged, no variable of its own. */
  rawToken?: string;
  basicAuth?: { readonly username: string };
  extauthz?: Readonly<Record<string, unknown>>;
  /** The person behind a shared key, as a trusted client names them in headers. */
  user?: UserClaims;
}

export interface UserClaims {
  readonly id?: string | undefined;
  readonly email?: string | undefined;
  readonly name?: string | undefined;
  readonly role?: string | undefined;
}
