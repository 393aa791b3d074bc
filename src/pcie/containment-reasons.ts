/** "DPC Trigger Reason". */
export const DPC_REASON = { unmaskedError: 0, nonFatalMessage: 1, fatalMessage: 2, extended: 3 } as const
