export { ApicBus, type EndOfInterruptListener } from './apic-bus.ts'
export { IoApic, type IoApicOptions, type RedirectionView } from './io-apic.ts'
export { type InterprocessorBus, LocalApic, type LocalApicView } from './local-apic.ts'
export { decodeCompatibility, InterruptMessage, type InterruptSink } from './message.ts'
