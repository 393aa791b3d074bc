/** Building blocks of the network operations' schemas, and what becomes of their texts. */
import { Type } from '@sinclair/typebox'
import { NorthbridgeError } from '../../core/index.ts'
import { MOST_SHARES } from '../../hypervisor/index.ts'
import { formatMac, macHigh, macLow, parseMac } from '../../net/index.ts'
import { invalid } from '../judge.ts'
import { Count, Fields, Words } from '../schemas.ts'

export const Mac = Type.String({
  pattern: '^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$',
  title: 'a MAC address like "02:00:00:00:00:01"',
})
export const Vlan = Type.Integer({ minimum: 1, maximum: 4094, title: 'a VLAN from 1 to 4094' })
export const Counts = Type.Record(Type.String(), Type.Number())
export const Limit = Fields(
  {
    bitsPerSecond: Count(1_000_000_000_000, 1),
    burst: Type.Integer({ minimum: 64, maximum: 1_000_000_000, title: 'bytes that may pass at once' }),
  },
  { $id: 'RateLimit', description: 'A token bucket' },
)

export const Share = Type.Integer({
  minimum: 1,
  maximum: MOST_SHARES,
  title: 'of an uplink that is busy; default 50',
})

export const Lacp = Fields(
  {
    activity: Type.Optional(Words('active', 'passive')),
    timeout: Type.Optional(Words('short', 'long')),
    systemPriority: Type.Optional(Count(65_535)),
  },
  { $id: 'Lacp', description: 'How one side of a link aggregation speaks LACP (IEEE 802.1AX)' },
)

export const macText = (mac: Uint8Array): string => formatMac(macLow(mac, 0), macHigh(mac, 0))

/** An individual address. Throws `invalidArgument`, naming the field. */
export function stationMac(text: string, field: string): Uint8Array {
  const mac = parseMac(text)
  if ((mac[0]! & 1) !== 0 || mac.every(byte => byte === 0)) {
    throw invalid([{ path: `/${field}`, message: 'must be an individual address, and not all zeros' }])
  }
  return mac
}

export const notFound = (what: string): NorthbridgeError => new NorthbridgeError('notFound', what)
