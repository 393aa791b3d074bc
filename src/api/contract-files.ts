/** The files in `openapi/`, as they follow from the code. A test compares them with those that are checked in. */
import { Namespaces } from '../access/index.ts'
import { experimentJsonSchema } from '../experiments/index.ts'
import { workloadJsonSchema } from '../guest/index.ts'
import { costTableJsonSchema } from '../hypervisor/index.ts'
import { topologyJsonSchema } from '../platform/index.ts'
import { buildApp } from './app.ts'

/** File names and contents. */
export async function contractFiles(): Promise<readonly (readonly [name: string, text: string])[]> {
  const app = await buildApp({ namespaces: await Namespaces.open() })
  const { body } = await app.inject('/openapi.json')
  await app.close()
  const text = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`
  return [
    ['openapi.json', text(JSON.parse(body))],
    ['topology.schema.json', text(topologyJsonSchema())],
    ['experiment.schema.json', text(experimentJsonSchema())],
    ['workload.schema.json', text(workloadJsonSchema())],
    ['costs.schema.json', text(costTableJsonSchema())],
  ]
}
