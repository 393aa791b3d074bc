/** What a function has logged of its errors ("Advanced Error Reporting"), as the kernel reads, names and clears it. */
import { AER, EXTENDED_CAPABILITY } from '../../pcie/formats/index.ts'
import type { HostPciFunction } from './pci-function.ts'

export type Severity = 'correctable' | 'nonFatal' | 'fatal'

/** Names of the bits of the status registers. */
const CORRECTABLE: Readonly<Record<number, string>> = {
  0: 'Receiver Error',
  6: 'Bad TLP',
  7: 'Bad DLLP',
  8: 'REPLAY_NUM Rollover',
  12: 'Replay Timer Timeout',
  13: 'Advisory Non-Fatal Error',
  14: 'Corrected Internal Error',
  15: 'Header Log Overflow',
}
const UNCORRECTABLE: Readonly<Record<number, string>> = {
  4: 'Data Link Protocol Error',
  5: 'Surprise Down Error',
  12: 'Poisoned TLP Received',
  13: 'Flow Control Protocol Error',
  14: 'Completion Timeout',
  15: 'Completer Abort',
  16: 'Unexpected Completion',
  17: 'Receiver Overflow',
  18: 'Malformed TLP',
  19: 'ECRC Error',
  20: 'Unsupported Request Error',
  21: 'ACS Violation',
  22: 'Uncorrectable Internal Error',
  23: 'MC Blocked TLP',
  24: 'AtomicOp Egress Blocked',
  25: 'TLP Prefix Blocked',
  26: 'Poisoned TLP Egress Blocked',
  27: 'DMWr Request Egress Blocked',
}

/** Errors of one severity that a function shows and does not mask. */
export interface LoggedErrors {
  readonly names: readonly string[]
  /** The error that the header log belongs to, and its four dwords. */
  readonly first: string | undefined
  readonly header: readonly number[]
}

/** Takes the errors of a severity out of the log of a function; undefined if there are none, or no log. */
export function takeErrors(fn: HostPciFunction, severity: Severity): LoggedErrors | undefined {
  const at = fn.extendedCapability(EXTENDED_CAPABILITY.AER)
  if (at === undefined) return undefined
  const { config } = fn
  const read = (offset: number): number => config.read(at + offset)
  const correctable = severity === 'correctable'
  const register = correctable ? AER.CORRECTABLE_STATUS : AER.UNCORRECTABLE_STATUS
  const mask = read((correctable ? AER.CORRECTABLE_MASK : AER.UNCORRECTABLE_MASK).offset)
  const fatal = correctable ? 0 : read(AER.UNCORRECTABLE_SEVERITY.offset)
  const ofSeverity = severity === 'fatal' ? fatal : ~fatal
  const status = (read(register.offset) & ~mask & ofSeverity) >>> 0
  if (status === 0) return undefined
  const names = correctable ? CORRECTABLE : UNCORRECTABLE
  const nameOf = (bit: number): string => names[bit] ?? `bit ${bit}`
  const pointer = read(AER.CONTROL.offset) & AER.CONTROL.f.FIRST.mask
  const hasFirst = !correctable && (status & (1 << pointer)) !== 0
  const logged: LoggedErrors = {
    names: bitsOf(status).map(nameOf),
    first: hasFirst ? nameOf(pointer) : undefined,
    header: hasFirst ? [0, 4, 8, 12].map(offset => read(AER.HEADER_LOG + offset)) : [],
  }
  config.write(at + register.offset, status)
  return logged
}

const bitsOf = (word: number): number[] =>
  Array.from({ length: 32 }, (_, bit) => bit).filter(bit => (word >>> bit) & 1)

/** What the root error registers hold: which severities came, from whom, and whether more than one did. */
export interface RootErrors {
  readonly severity: Severity
  /** Requester id; 0 where the source is not known. */
  readonly source: number
  readonly several: boolean
}

/** Whether a root port or event collector was told of errors. */
export function hasRootErrors(root: HostPciFunction): boolean {
  const at = root.extendedCapability(EXTENDED_CAPABILITY.AER)
  return at !== undefined && (root.config.read(at + AER.ROOT_STATUS.offset) & AER.ROOT_STATUS_ERRORS) !== 0
}

/** Reads and clears Root Error Status of a root port or event collector. */
export function takeRootErrors(root: HostPciFunction): RootErrors[] {
  const at = root.extendedCapability(EXTENDED_CAPABILITY.AER)
  if (at === undefined) return []
  const status = root.config.read(at + AER.ROOT_STATUS.offset) & AER.ROOT_STATUS_ERRORS
  if (status === 0) return []
  const sources = root.config.read(at + AER.ROOT_SOURCE)
  root.config.write(at + AER.ROOT_STATUS.offset, status)
  const { COR, MULTI_COR, UNCOR, MULTI_UNCOR, FATAL, NON_FATAL } = AER.ROOT_STATUS.f
  const taken: RootErrors[] = []
  if (status & COR.mask)
    taken.push({
      severity: 'correctable',
      source: sources & 0xffff,
      several: (status & MULTI_COR.mask) !== 0,
    })
  if (status & UNCOR.mask) {
    const several = (status & MULTI_UNCOR.mask) !== 0
    for (const [bit, severity] of [
      [NON_FATAL, 'nonFatal'],
      [FATAL, 'fatal'],
    ] as const)
      if (status & bit.mask) taken.push({ severity, source: sources >>> 16, several })
  }
  return taken
}
