/** Who is isolated from whom, as the tables stand; and what mends it where they are not, done by a button. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api, type FunctionIsolation, type IsolationReport } from '../api.ts'
import { shortAddress } from '../map/words.ts'
import { counted } from '../parts/counted.ts'
import { VirtualList } from '../parts/virtual-list.tsx'
import { repairIsolation, takeBack } from '../state/actions.ts'
import { attempt, platform, reading, vms } from '../state/world.ts'

/** Virtual machines up to which all pairs are judged without being asked to: there are n² / 2 of them. */
const MOST_UNASKED = 64

type Breach = IsolationReport['pairs'][number]['breaches'][number]

export function IsolationView() {
  const report = useSignal<IsolationReport | undefined>(undefined)
  const repaired = useSignal<readonly string[]>([])
  const asked = useSignal(0)
  const id = platform.value?.id
  const read = reading.value
  const many = vms.value.length > MOST_UNASKED
  // Asked again whenever the platform has been read anew.
  useEffect(() => {
    let current = true
    if (id !== undefined && (!many || asked.value > 0)) {
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
  }, [id, many ? 0 : read, asked.value])
  const repair = async ({ repair: { defect } }: Breach): Promise<void> => {
    if (defect === undefined) return
    const done = await repairIsolation(defect)
    if (done !== undefined) repaired.value = done.repaired
    asked.value++
  }
  const shown = report.value
  const apart = shown?.pairs.filter(({ isolated }) => isolated) ?? []
  const open = shown?.pairs.filter(({ isolated }) => !isolated) ?? []
  return (
    <div class="page">
      <h2>Isolation</h2>
      {many && shown === undefined && (
        <p>
          {vms.value.length} virtual machines are {(vms.value.length * (vms.value.length - 1)) / 2} pairs.{' '}
          <button type="button" onClick={() => asked.value++}>
            Judge them
          </button>
        </p>
      )}
      {shown && shown.pairs.length === 0 && (
        <p class="hint">There are no two virtual machines to keep apart.</p>
      )}
      {repaired.value.length > 0 && (
        <div class="result good" role="status">
          <b>Repaired.</b> No more:{' '}
          {repaired.value.map(text => (
            <div key={text}>{text}</div>
          ))}
        </div>
      )}
      <ul class="cards">
        {open.map(pair => (
          <li key={pair.vms.join()} class="bad">
            <b>{pair.vms.join(' and ')}</b> are not isolated
            <ul class="breaches">
              {pair.breaches.map(breach => (
                <li key={breach.text}>
                  {breach.text}
                  <div class="hint">What would repair it: {breach.repair.text}</div>
                  <div class="buttons">
                    {breach.repair.defect && (
                      <button type="button" onClick={() => repair(breach)}>
                        Repair
                      </button>
                    )}
                    <button
                      type="button"
                      class="quiet"
                      onClick={() => takeBack(breach.function, breach.from)}
                    >
                      Take {shortAddress(breach.function)} back from {breach.from}
                    </button>
                  </div>
                </li>
              ))}
              <Conditions of={pair.conditions} />
            </ul>
          </li>
        ))}
        {apart.slice(0, MOST_UNASKED).map(pair => (
          <li key={pair.vms.join()} class="good">
            <b>{pair.vms.join(' and ')}</b> are isolated from each other
            {pair.conditions.length > 0 && (
              <ul>
                <Conditions of={pair.conditions} />
              </ul>
            )}
          </li>
        ))}
      </ul>
      {apart.length > MOST_UNASKED && (
        <p class="hint">and {apart.length - MOST_UNASKED} more pairs are isolated from each other</p>
      )}
      {shown && <Reach of={shown.functions} />}
    </div>
  )
}

function Conditions({ of }: { readonly of: readonly string[] }) {
  return (
    <>
      {of.map(condition => (
        <li key={condition} class="hint">
          provided that {condition}
        </li>
      ))}
    </>
  )
}

const sayMemory = ({ closed, memory }: FunctionIsolation): string => {
  if (closed !== undefined) return 'nothing'
  const parts = memory.map(
    ({ owner, size, write }) =>
      `${size / 2 ** 20} MiB of ${owner.name ?? owner.kind}${write ? '' : ', reading'}`,
  )
  return parts.join('; ') || 'no memory'
}

function Reach({ of }: { readonly of: readonly FunctionIsolation[] }) {
  return (
    <>
      <h3>What each function reaches</h3>
      <VirtualList
        label="What each function reaches"
        of={of}
        keyOf={fn => fn.function}
        rowHeight={34}
        row={fn => (
          <div class="row reach">
            <code>{shortAddress(fn.function)}</code>
            <span>{fn.owner.name ?? 'nobody'}</span>
            <span>{sayMemory(fn)}</span>
            <span class="hint">
              {counted(fn.vectors.length, 'vector')}
              {fn.peers.length > 0 && `, ${counted(fn.peers.length, 'peer')}`}
            </span>
          </div>
        )}
      />
    </>
  )
}
