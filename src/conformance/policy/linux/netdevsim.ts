/** Worked cases of netdevsim: `set_vf_…` with the fields of `ip link`. */
import { z } from 'zod'
import { parseDocument } from '../../../core/index.ts'
import { refuseVfSetting, type VfSetting } from '../../../policy/index.ts'
import { type Judge, unknownShape } from '../worked-case.ts'

const nicSchema = z.looseObject({
  num_vfs: z.int(),
  eswitch_mode: z.enum(['legacy', 'switchdev']).optional(),
  eswitch: z.enum(['legacy', 'switchdev']).optional(),
  mode: z.enum(['legacy', 'switchdev']).optional(),
})
const settingSchema = z.looseObject({
  vf: z.int().default(0),
  mac: z.string().default('00:00:00:00:00:00'),
  vlan: z.int().default(0),
  qos: z.int().default(0),
  state: z.union([z.string(), z.int()]).default('auto'),
})

export const judgeNetdevsim: Judge = ({ devices, policy, request }) => {
  const nic = parseDocument(nicSchema, devices[0], 'devices/0')
  const mode = { ...policy, ...request }['eswitch_mode'] ?? nic.eswitch_mode ?? nic.eswitch ?? nic.mode
  const eSwitchMode = mode === 'switchdev' ? 'switchdev' : 'legacy'
  for (const [operation, value] of Object.entries(request)) {
    const kind = /^set_vf_(\w+)$/.exec(operation)?.[1]
    if (kind === undefined) continue
    const refusal = refuseVfSetting({ numVfs: nic.num_vfs, eSwitchMode }, settingOf(kind, value))
    if (refusal !== undefined) return { decision: 'deny', ...refusal }
    return { decision: 'allow' }
  }
  return unknownShape('request has no set_vf_…')
}

function settingOf(kind: string, value: unknown): VfSetting {
  const { vf, mac, vlan, qos, state } = parseDocument(settingSchema, value, `set_vf_${kind}`)
  switch (kind) {
    case 'mac':
      return { setting: 'mac', vf, mac }
    case 'vlan':
      return { setting: 'vlan', vf, vlan, qos }
    case 'rate':
      return { setting: 'rate', vf }
    case 'link_state':
    case 'link':
    case 'state':
      return { setting: 'link', vf, state: String(state) }
    case 'spoofchk':
    case 'spoofcheck':
      return { setting: 'spoofcheck', vf }
    case 'trust':
      return { setting: 'trust', vf }
    case 'rss_query_en':
    case 'rss':
      return { setting: 'rss', vf }
    default:
      return unknownShape(`there is no setting set_vf_${kind}`)
  }
}
