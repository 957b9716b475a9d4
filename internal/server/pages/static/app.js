// What the pages gain from a script: keys, countdowns, the reader's own time zone, copying, and the sign that news
// arrive. Everything works without it. Keys only open things; a form is sent by a second key.
(() => {
  'use strict'
  const page = document.documentElement
  const one = (q) => document.querySelector(q)
  const all = (q) => [...document.querySelectorAll(q)]
  const stored = (name, value) => { // a browser may forbid storage; then nothing is remembered
    try { return value === undefined ? localStorage.getItem(name) : localStorage.setItem(name, value) } catch { return null }
  }
  page.classList.add('js')

  // Countdowns, written like the server writes them.
  const ahead = Date.parse(page.dataset.now) - Date.now() // of the server's clock, which is the one that counts
  const two = (n) => String(n).padStart(2, '0')
  const span = (seconds) => {
    const s = Math.max(0, Math.floor(seconds)), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60
    if (h >= 48) return `${Math.floor(h / 24)}d ${h % 24}h`
    if (h > 0) return `${h}h ${two(m)}m`
    return m > 0 ? `${m}m ${two(s % 60)}s` : `${s}s`
  }
  const tick = () => all('[data-countdown]').forEach((t) => {
    const left = (Date.parse(t.dateTime) - Date.now() - ahead) / 1000
    t.textContent = left > 0 ? span(left) : 'over'
  })
  if (one('[data-countdown]')) setInterval(tick, 1000)

  // Local time or UTC.
  const times = () => all('[data-time]').forEach((t) => {
    t.dataset.utc ??= t.textContent
    t.textContent = stored('belay-time') === 'local'
      ? new Date(t.dateTime).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' }) : t.dataset.utc
  })
  times()

  // Copying.
  document.addEventListener('click', async (e) => {
    const button = e.target.closest('[data-copy]')
    if (!button) return
    await navigator.clipboard.writeText(button.parentElement.querySelector('pre').textContent)
    button.textContent = 'Copied'
  })

  // News: whether they arrive, and a pause for them.
  const live = one('#live')
  let paused = false
  const sign = (text, on) => { live.textContent = text; live.classList.toggle('on', on) }
  document.addEventListener('htmx:sse:after:connection', () => sign(paused ? 'paused' : 'live', !paused))
  document.addEventListener('htmx:sse:error', () => sign('not live', false))
  document.addEventListener('htmx:sse:close', () => sign('not live', false))
  document.addEventListener('htmx:sse:before:message', (e) => { if (paused) e.preventDefault() })
  const pause = () => {
    paused = !paused
    sign(paused ? 'paused' : 'live', !paused)
    if (!paused) for (const kind of ['item', 'run', 'redrive']) live.dispatchEvent(new Event(kind, { bubbles: true })) // what was missed
  }

  // Keys.
  const keys = one('#keys'), letters = one('#keys-on')
  letters.checked = stored('belay-keys') !== 'off'
  letters.addEventListener('change', () => stored('belay-keys', letters.checked ? 'on' : 'off'))
  one('#keys-open').addEventListener('click', () => keys.showModal())
  one('#keys-close').addEventListener('click', () => keys.close())

  const verbs = { a: 'approve', x: 'reject', t: 'retry', e: 'edit', w: 'answer', s: 'skip', v: 'verify', A: 'abort', c: 'claim', r: 'release', n: 'note', z: 'snooze' }
  const places = { i: '/', r: '/runs', w: '/tools', t: '/trends' }
  let going = 0 // when g was pressed

  const rows = () => all('[data-row]').filter((r) => r.checkVisibility())
  const row = () => document.activeElement.closest('[data-row]')
  const move = (by) => {
    const list = rows()
    const next = list[Math.min(Math.max(list.indexOf(row()) + by, 0), list.length - 1)]
    next?.focus()
  }
  const mark = () => {
    const box = row()?.closest('.item').querySelector('[type=checkbox]')
    if (box) box.checked = !box.checked
  }
  const copyID = () => {
    const id = one('[data-id]')?.dataset.id ?? row()?.getAttribute('href')?.replace('/e/', '')
    if (id) navigator.clipboard.writeText(decodeURIComponent(id))
  }
  const local = () => { stored('belay-time', stored('belay-time') === 'local' ? 'utc' : 'local'); times() }
  const acts = { '?': () => keys.showModal(), p: pause, y: copyID, l: local, m: mark, g: () => { going = Date.now() }, '/': () => one('[data-focus="/"]')?.focus() }

  // A page's own link for a key comes first, then the row that has the focus, then what every page can do.
  const press = (key) => {
    if (Date.now() - going < 1500 && places[key]) return location.assign(places[key])
    going = 0
    const own = all('[data-key]').find((l) => l.dataset.key === (key === 'Escape' ? 'u' : key))
    if (own) return own.click()
    if (verbs[key] && row()?.href) return location.assign(row().href + '/' + verbs[key])
    if (key === 'j' || key === 'k') return move(key === 'j' ? 1 : -1)
    acts[key]?.()
  }
  const send = (form) => form?.requestSubmit(form.querySelector('.primary'))
  const typing = (t) => t.closest('input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]')
  document.addEventListener('keydown', (e) => {
    if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) return send(e.target.closest('form.steer') ?? one('form.act'))
    if (e.defaultPrevented || e.isComposing || e.ctrlKey || e.metaKey || e.altKey || keys.open) return
    if (typing(e.target)) { if (e.key === 'Escape') e.target.blur(); return }
    if (e.key !== 'Escape' && !letters.checked && e.key !== '?') return
    if (e.key === '/' || e.key === '?') e.preventDefault()
    press(e.key)
  })
})()
