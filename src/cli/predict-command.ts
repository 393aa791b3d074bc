/** `northbridge predict FILE`: what published measurements should have found, from the calibrated model. */
import type { Command } from 'commander'
import type { CommandEnvironment } from './environment.ts'
import { manual } from './help.ts'

export function addPredictCommand(root: Command, environment: CommandEnvironment): void {
  const predict = root
    .command('predict')
    .description(
      'predict measurements from the calibrated model: records without a value in, values and reasons out',
    )
    .argument('<file>', 'records, JSON or YAML')
    .option('--json', 'print JSON for programs')
    .action(async (file: string, options: { readonly json?: true }) => {
      const { predictFile } = await import('./actions/predict.ts')
      predictFile(file, options, environment)
    })
  manual(predict, [['predict examples/questions.json', 'what is described there']])
}
