export { InterruptMessage, type InterruptSink } from './message.ts'
