/** `northbridge run FILE` and `northbridge demo`: experiments, told as stories or simulated as sweeps. */
import type { Command } from 'commander'
import type { RunOptions, StoryOptions } from './actions/experiments.ts'
import type { CommandEnvironment } from './environment.ts'
import { manual } from './help.ts'

export function addExperimentCommands(root: Command, environment: CommandEnvironment): void {
  root
    .command('demo')
    .description('two virtual machines share one SR-IOV network card: the story of an assignment')
    .option('--json', 'print JSON for programs')
    .action(async (options: StoryOptions) => {
      const { runDemo } = await import('./actions/experiments.ts')
      await runDemo(options, environment)
    })
  const run = root
    .command('run')
    .description('run an experiment document, a story or a sweep, and compare with what it expects')
    .argument('<file>', 'JSON or YAML')
    .option('--files <folder>', 'disks may be put on files in this folder')
    .option('--topology <topology>', 'use this topology (name or file) instead of the one in the document')
    .option('--json', 'print JSON for programs')
    .option('--csv', 'sweeps: print CSV')
    .option('--out <folder>', 'sweeps: write JSON, CSV and an HTML report there')
    .option('--workers <number>', 'sweeps: threads that simulate; default: all cores, 1 for none but this')
    .action(async (file: string, options: RunOptions) => {
      const { runFile } = await import('./actions/experiments.ts')
      await runFile(file, options, environment)
    })
  manual(run, [
    ['run experiments/posted-interrupt.yaml', 'a story, step by step'],
    ['run my-story.yaml --topology my-server.json', 'the same on a machine of yours'],
    ['run experiments/sweeps/vmdq-ten-gigabit.yaml --out report', 'a sweep, with tables and plots'],
  ])
}
