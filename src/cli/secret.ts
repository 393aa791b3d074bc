/** The variable that holds a token: of a client the one that it sends, of a server one that it takes. */
const VARIABLE = 'NORTHBRIDGE_TOKEN'

/** Undefined if it is not set, or empty. */
export const secretOf = (environment: NodeJS.ProcessEnv): string | undefined =>
  environment[VARIABLE] || undefined
