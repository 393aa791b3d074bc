/** Who is isolated from whom, as the tables stand; and what would mend it where they are not. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api, type IsolationReport } from '../api.ts'
import { shortAddress } from '../map/words.ts'
import { attempt, platform, reading } from '../state/world.ts'

export function IsolationView() {
  const report = useSignal<IsolationReport | undefined>(undefined)
  const id = platform.value?.id
  const read = reading.value
  // Asked again whenever the platform has been read anew.
  useEffect(() => {
    let current = true
    if (id !== undefined) {
      void api
        .isolationReport({ platform: id })
        .then(answer => {
          if (current) report.value = answer
        })
        .catch(error => void attempt(() => Promise.reject(error)))
    }
    return () => {
      current = false
    }
  }, [id, read])
  const shown = report.value
  return (
    <div class="page">
      <h2>Isolation</h2>
      {shown && shown.pairs.length === 0 && (
        <p class="hint">There are no two virtual machines to keep apart.</p>
      )}
      <ul class="cards">
        {shown?.pairs.map(pair => (
          <li key={pair.vms.join()} class={pair.isolated ? 'good' : 'bad'}>
            <b>{pair.vms.join(' and ')}</b>{' '}
            {pair.isolated ? 'are isolated from each other' : 'are not isolated'}
            <ul>
              {pair.breaches.map(({ text, repair }) => (
                <li key={text}>
                  {text}
                  <div class="hint">What would repair it: {repair.text}</div>
                </li>
              ))}
              {pair.conditions.map(condition => (
                <li key={condition} class="hint">
                  {condition}
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
      <h3>What each function reaches</h3>
      <table>
        <thead>
          <tr>
            <th>Function</th>
            <th>Owner</th>
            <th>Memory</th>
            <th>Interrupts</th>
            <th>Peers</th>
          </tr>
        </thead>
        <tbody>
          {shown?.functions.map(fn => (
            <tr key={fn.function}>
              <td>
                <code>{shortAddress(fn.function)}</code>
              </td>
              <td>{fn.owner.name ?? 'nobody'}</td>
              <td>
                {fn.closed
                  ? 'nothing'
                  : fn.memory.length === 0
                    ? 'none'
                    : fn.memory
                        .map(
                          ({ owner, size, write }) =>
                            `${size / 2 ** 20} MiB of ${owner.name ?? owner.kind}${write ? '' : ', reading'}`,
                        )
                        .join('; ')}
              </td>
              <td>{fn.vectors.map(({ target }) => target).join('; ') || 'none'}</td>
              <td>{fn.peers.length || 'none'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
