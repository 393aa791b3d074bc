/** "VMX-Preemption Timer": counts down in a guest, once for so many ticks of the time-stamp counter. */
import { PREEMPTION_TIMER_SHIFT } from './capabilities.ts'
import { type Core, MOMENT } from './core.ts'
import { PIN_BASED } from './formats/controls.ts'
import { ACTIVITY } from './formats/events.ts'
import { REGISTER } from './registers.ts'
import { slot } from './vmcs-layout.ts'

const VALUE = slot('preemptionTimerValue')
const TICKS = 2 ** PREEMPTION_TIMER_SHIFT

/** The timer's unit: a change of bit X of the time-stamp counter. */
const ticks = (core: Core): number => Math.floor(core.timeStampCounter / TICKS)

/** A VM entry starts the timer if its control says so. */
export function startPreemptionTimer(core: Core): void {
  core.timerRuns = (core.pinControls & PIN_BASED.activatePreemptionTimer) !== 0
  if (core.timerRuns) core.moments[MOMENT.timerEnd] = ticks(core) + core.vmcs[VALUE]!
}

/** In wait-for-SIPI an expired timer causes no VM exit. */
export const preemptionTimerExpired = (core: Core): boolean =>
  core.timerRuns &&
  ticks(core) >= core.moments[MOMENT.timerEnd]! &&
  core.registers[REGISTER.activity] !== ACTIVITY.waitForSipi

/** What a VM exit saves: 0 once the timer has expired. */
export const preemptionTimerLeft = (core: Core): number =>
  core.timerRuns ? Math.max(core.moments[MOMENT.timerEnd]! - ticks(core), 0) : core.vmcs[VALUE]!
