/** One interrupt of an assigned function, posted and not: what happens, step by step, and which VM exits it takes. */
import { createPlatform } from 'northbridge'

const server = createPlatform('two-socket-82599')
const card = '0000:01:10.0'

for (const interrupts of ['posted', 'emulated'] as const) {
  server.createVm({ name: interrupts, vcpus: 1, memoryMiB: 16, interrupts })
  server.attach({ vm: interrupts, function: card })
  for (const guest of ['running', 'blocked'] as const) {
    const { steps, exits } = server.traceInterrupt({ function: card, vector: 0, guest })
    console.log(`${interrupts}, guest ${guest}: VM exits ${exits.join(', ') || 'none'}`)
    for (const { message } of steps) console.log(`  ${message}`)
  }
  server.detach({ vm: interrupts, function: card })
}

// Prints:
// posted, guest running: VM exits none
//   0000:01:10.0 writes 0x0 to 0xfee00298: an interrupt message
//   dmar1: IRTE 20 posts it to a descriptor in memory
//   dmar1 notifies APIC 0 with vector 0xf2
//   local APIC 0: vector 0xf2 accepted
//   processor 0: posted-interrupt processing, notification vector 0xf2, RVI at least 0x40
//   posted vCPU 0 takes vector 0x40, delivered by the processor
//   posted vCPU 0 has handled vector 0x40
// posted, guest blocked: VM exits none
//   0000:01:10.0 writes 0x0 to 0xfee00298: an interrupt message
//   dmar1: IRTE 20 posts it to a descriptor in memory
//   dmar1 notifies APIC 0 with vector 0xf1
//   local APIC 0: vector 0xf1 accepted
//   posted vCPU 0 was posted an interrupt while it slept: it is scheduled
//   processor 0: VM entry
//   posted vCPU 0 takes vector 0x40, delivered by the processor
//   posted vCPU 0 has handled vector 0x40
// emulated, guest running: VM exits externalInterrupt, wrmsr
//   0000:01:10.0 writes 0x0 to 0xfee00298: an interrupt message
//   dmar1: IRTE 20 makes it vector 0x3a for APIC 1
//   local APIC 1: vector 0x3a accepted
//   processor 1: VM exit, externalInterrupt
//   vector 0x40 is pending in emulated vCPU 0
//   emulated vCPU 0 vector 0x40 is injected
//   processor 1: VM entry, injecting vector 64
//   processor 1: VM exit, wrmsr
//   processor 1: VM entry
//   emulated vCPU 0 has handled vector 0x40
// emulated, guest blocked: VM exits wrmsr
//   0000:01:10.0 writes 0x0 to 0xfee00298: an interrupt message
//   dmar1: IRTE 20 makes it vector 0x3a for APIC 1
//   local APIC 1: vector 0x3a accepted
//   vector 0x40 is pending in emulated vCPU 0
//   emulated vCPU 0 vector 0x40 is injected
//   processor 1: VM entry, injecting vector 64
//   processor 1: VM exit, wrmsr
//   processor 1: VM entry
//   emulated vCPU 0 has handled vector 0x40
