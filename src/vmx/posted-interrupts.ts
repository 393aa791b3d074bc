/**
 * "Posted-Interrupt Processing": the notification vector ends at the local APIC; what was posted moves to the
 * virtual-APIC page, uninterrupted and without a VM exit. And its other end, the posting of an interprocessor interrupt.
 */
import { hex } from '../core/index.ts'
import { DELIVERY_MODE } from '../interrupts/formats/message.ts'
import { highestVector, InterruptMessage } from '../interrupts/index.ts'
import { POSTED_INTERRUPT_DESCRIPTOR } from '../vtd/formats/posted-interrupts.ts'
import type { Core } from './core.ts'
import { pageField, VAPIC, virtualApicWords } from './virtual-apic-page.ts'
import { evaluate, raiseRequested } from './virtual-interrupts.ts'
import { slot } from './vmcs-layout.ts'

const NOTIFICATION_VECTOR = slot('postedInterruptNotificationVector')
const DESCRIPTOR = slot('postedInterruptDescriptorAddress')
const { ON, SN, NV, NDST } = POSTED_INTERRUPT_DESCRIPTOR
const PIR_WORDS = 8

/** `vector` is what the local APIC acknowledged. False if it is not the notification vector: then it causes a VM exit. */
export function processPostedInterrupt(core: Core, vector: number): boolean {
  if (vector !== (core.vmcs[NOTIFICATION_VECTOR]! & 0xff)) return false
  core.apic.endOfInterrupt()
  const page = virtualApicWords(core)
  const words = core.memory.pageForWrite(pageField(core, DESCRIPTOR))?.words
  if (words !== undefined) {
    const base = (core.vmcs[DESCRIPTOR]! & 0xfc0) >>> 2
    words[base + ON.word]! &= ~ON.mask
    const highest = highestVector(words, base)
    for (let i = 0; i < PIR_WORDS; i++) {
      page[VAPIC.IRR + i * VAPIC.STRIDE]! |= words[base + i]!
      words[base + i] = 0
    }
    if (highest >= 0) raiseRequested(core, highest)
    trace(core, vector, highest)
  }
  evaluate(core, page)
  return true
}

/** Reused: processors post one after the other. */
const message = new InterruptMessage()

/** Posts to the descriptor at an address (bits 5:0 aside). False where there is no memory. */
export function postVector(core: Core, low: number, high: number, vector: number): boolean {
  const words = core.memory.pageForWrite(high * 2 ** 20 + (low >>> 12))?.words
  if (words === undefined) return false
  const base = (low & 0xfc0) >>> 2
  words[base + (vector >>> 5)]! |= 1 << (vector & 31)
  const status = words[base + ON.word]!
  if ((status & (ON.mask | SN.mask)) !== 0) return true
  words[base + ON.word] = status | ON.mask
  message.extended = core.apic.x2apic
  const destination = words[base + NDST.word]!
  message.destination = message.extended ? destination : (destination >>> 8) & 0xff
  message.logical = false
  message.redirectionHint = false
  message.levelTriggered = false
  message.deliveryMode = DELIVERY_MODE.fixed
  message.vector = (status & NV.mask) >>> NV.shift
  core.apic.send(message)
  return true
}

function trace(core: Core, vector: number, highest: number): void {
  const { trace } = core.engine
  if (!trace.enabled) return
  trace.emit(
    'interrupt',
    `processor ${core.number}: posted-interrupt processing, notification vector ${hex(vector)}, RVI ${highest < 0 ? 'unchanged' : `at least ${hex(highest)}`}`,
    { step: 'postedInterruptProcessing', processor: core.number, notificationVector: vector, highest },
  )
}
