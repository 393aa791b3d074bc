/** The files in `openapi/`, as they follow from the code. A test compares them with those that are checked in. */
import { Namespaces } from '../access/index.ts'
import { requestsJsonSchema } from '../cli/actions/policy-requests.ts'
import { gatherCatalogue } from '../cli/catalogue/gather.ts'
import { experimentJsonSchema } from '../experiments/index.ts'
import { workloadJsonSchema } from '../guest/index.ts'
import { costTableJsonSchema } from '../hypervisor/index.ts'
import { topologyJsonSchema } from '../platform/index.ts'
import { policyJsonSchema } from '../policy/index.ts'
import { buildApp } from './app.ts'

/** File names and contents. */
export async function contractFiles(): Promise<readonly (readonly [name: string, text: string])[]> {
  const app = await buildApp({ namespaces: await Namespaces.open() })
  const { body } = await app.inject('/openapi.json')
  await app.close()
  const text = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`
  return [
    ['openapi.json', text(JSON.parse(body))],
    ['command-line.json', text(gatherCatalogue())],
    ['topology.schema.json', text(topologyJsonSchema())],
    ['experiment.schema.json', text(experimentJsonSchema())],
    ['policy.schema.json', text(policyJsonSchema())],
    ['policy-requests.schema.json', text(requestsJsonSchema())],
    ['workload.schema.json', text(workloadJsonSchema())],
    ['costs.schema.json', text(costTableJsonSchema())],
  ]
}
