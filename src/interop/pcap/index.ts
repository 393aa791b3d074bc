export { type CapturedPacket, LINKTYPE_ETHERNET } from './format.ts'
export { type Capture, readPcap } from './read.ts'
export { packetAt, type WriteOptions, writePcap } from './write.ts'
