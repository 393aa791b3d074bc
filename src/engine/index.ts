export { Engine, type EventHandler, type QueuedEvent } from './engine.ts'
export { drive, pause, type Software, until, type WaitCondition } from './software.ts'
export { Trace, type TraceEvent, type TraceKind, type TraceListener } from './trace.ts'
export { within } from './within.ts'
