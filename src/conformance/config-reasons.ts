/**
 * Why a register may differ from QEMU's although both are right: what its models do of their own accord, without a
 * configuration write that a recording could show.
 */

import type { RegisterDifference } from './config-replay.ts'
import { NOBODY } from './config-trace.ts'

interface Reason {
  /** Start of the register's name, or a class of models. */
  readonly matches: (difference: RegisterDifference) => boolean
  readonly reason: string
}

const ABSENT = /^0x?f+$/

const REASONS: readonly Reason[] = [
  {
    matches: ({ model }) => model === NOBODY,
    reason: 'no function answered in the recording: it was unplugged, or not yet plugged, by the monitor',
  },
  {
    matches: ({ got, recorded }) => ABSENT.test(got.toString(16)) && !ABSENT.test(recorded.toString(16)),
    reason: 'the function is not here: plugged by a command of the monitor that topology.json does not tell',
  },
  {
    matches: ({ register }) => register.startsWith('HOT PLUG'),
    reason:
      'commands of the hot-plug controller go through its memory registers, which are not in the recording',
  },
  {
    matches: ({ register }) => /^PCIe \+0x1[8a]/.test(register),
    reason: 'slot events come from the monitor and from ACPI hot-plug, which are not in the recording',
  },
  {
    matches: ({ register }) => /^MSI \+0x1[04]/.test(register),
    reason: 'pending bits follow interrupts of the device, which are not in the recording',
  },
  {
    matches: ({ register }) => register.startsWith('AER +0x30'),
    reason: "QEMU's ioh3420 names another message for errors once two are enabled",
  },
  {
    matches: ({ offset, recorded, got }) =>
      (offset === 0x04 || offset === 0x06) && ((recorded ^ got) & ~0x8) === 0,
    reason: 'Interrupt Status follows the INTx line of the device, which is not in the recording',
  },
]

export const reasonFor = (difference: RegisterDifference): string =>
  REASONS.find(({ matches }) => matches(difference))?.reason ?? 'no reason is known'
