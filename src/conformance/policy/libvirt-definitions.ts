/** Cases show a domain definition as XML, as a list of parts, or in a few words: here it becomes XML again. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'

const partSchema = z.object({
  type: z.string(),
  model: z.string().optional(),
  persistent: z.string().optional(),
  kind: z.string().optional(),
})

const hostdev = (fn = '0'): string =>
  `<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='6' slot='2' function='${fn}'/></source></hostdev>`

const domain = (devices: string): string => `<domain><name>case</name><devices>${devices}</devices></domain>`

export function domainOf(policy: Readonly<Record<string, unknown>>): string {
  if (policy['teaming'] !== undefined)
    return domain(parseDocument(z.array(partSchema), policy['teaming'], 'teaming').map(teamed).join(''))
  const text = parseDocument(z.string(), policy['domain_xml'], 'domain_xml')
  if (/<domain[\s>]/.test(text)) return text
  if (/^\s*<devices[\s>]/.test(text)) return `<domain>${text}</domain>`
  const fn = /function\D{0,12}?((?:0x)?[0-9a-f]+)/i.exec(text)?.[1]
  if (fn !== undefined) return domain(hostdev(fn))
  return domain(/\btwo\b|\btwice\b|\bsame\b/.test(text) ? hostdev() + hostdev() : hostdev())
}

const MAC = `<mac address='00:11:22:33:44:55'/>`

function teamed({ type, persistent, kind, model }: z.output<typeof partSchema>): string {
  if (type === 'persistent') {
    return `<interface type='network'>${MAC}<model type='${model ?? 'virtio'}'/><teaming type='persistent'/><alias name='ua-backup0'/></interface>`
  }
  const source = `<source><address domain='0' bus='6' slot='2' function='1'/></source>`
  const named = persistent === undefined ? '' : ` persistent='${persistent}'`
  return `<interface type='${kind ?? 'hostdev'}'>${MAC}${source}<teaming type='${type}'${named}/></interface>`
}
