export {
  bursts,
  fixedSize,
  IMIX,
  imix,
  incast,
  type Offer,
  type OfferedFrame,
  requestResponse,
  type Traffic,
} from './generators.ts'
export {
  type Station,
  type TcpOptions,
  tcpFrame,
  type UdpOptions,
  udpFrame,
  udpPayloadFor,
} from './packets.ts'
