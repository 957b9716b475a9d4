// The console in a real browser: the approver's way from a link to a decision, on a phone and on a screen, in both
// themes, with and without JavaScript, by thumb and by keyboard; and every page against the accessibility rules.
import { after, before, beforeEach, test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const base = process.env.BASE
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const refund = '01936f2a-7c1e-7b3a-9d40-5e0192f3a7b1-1'
const charge = '01936f29-11aa-7c02-8a77-90cc41d2e8f4-1'
const invoice = '01936f28-5b0c-7f11-b2a9-2f6d0e7c55aa-1'
const shipment = '01936f27-0d44-7a90-9c3e-7718bb20c9d3-2'
const letter = '01936f20-aa01-7d55-8e1f-c0ffee00d00d-dl7'
const payout = '01936f26-3a01-7c44-8d11-4e9b20aa71c5-2'
const limit = '01936f25-77f0-7b0a-9b6e-1d02c3e4f5a6-1'
const storm = '/?group=payments.refund+primary+timeout+pay.example.com'
const phone = { width: 360, height: 740 }
const pocket = { width: 390, height: 844 }
const screen = { width: 1280, height: 800 }
const views = [phone, screen].flatMap((viewport) => ['light', 'dark'].map((colorScheme) => ({ viewport, colorScheme })))
const named = (v) => `${v.viewport.width} ${v.colorScheme}`

let browser
before(async () => { browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] }) })
after(() => browser?.close())
beforeEach(() => stage('reset'))

const stage = async (what) => {
  const answer = await fetch(`${base}/stage/${what}`)
  assert.ok(answer.ok, `stage ${what}: ${answer.status}`)
  return answer.text()
}
const acts = async () => JSON.parse(await stage('acts')) ?? []

// open gives a page that fails its test when the browser complains, as it does about the Content-Security-Policy.
const open = async (t, options, path) => {
  const context = await browser.newContext({ baseURL: base, ...options })
  t.after(() => context.close())
  const page = await context.newPage()
  page.complaints = []
  page.on('console', (m) => { if (['error', 'warning'].includes(m.type()) && !/status of (404|409|412|422)/.test(m.text())) page.complaints.push(m.text()) })
  page.on('pageerror', (e) => page.complaints.push(String(e)))
  if (path) await page.goto(path)
  return page
}
const shot = (page, name) => process.env.SHOTS && page.screenshot({ path: join(process.env.SHOTS, `${name}.png`) })
const live = (page) => page.locator('#live.on').waitFor()
const news = (page, text) => page.locator('#news-line', { hasText: text }).waitFor()
const heading = (page) => page.locator('h1').innerText()

const pages = {
  inbox: '/', filtered: '/?q=nothing+like+this', group: storm, approval: `/e/${refund}`, approve: `/e/${refund}/approve`, edit: `/e/${refund}/edit`,
  unknown: `/e/${charge}`, question: `/e/${invoice}`, answer: `/e/${invoice}/answer`, failure: `/e/${shipment}`, nested: `/e/${shipment}/edit`,
  json: `/e/${shipment}/edit?as=json`, snooze: `/e/${shipment}/snooze`, letter: `/e/${letter}`, runs: '/runs', run: `/runs/${shipment.slice(0, -2)}`,
  tools: '/tools', trends: '/trends', system: '/system', gates: '/gates', schedules: '/schedules', nowhere: '/nowhere', option: `/e/${invoice}/answer?option=2`, happened: `/e/${charge}/answer`, verify: `/e/${charge}/verify`,
  retry: `/e/${shipment}/retry`, reject: `/e/${refund}/reject`, approvals: '/?group=approval+payments.refund', login: '/login', provider: '/login?provider',
  call: `/e/${payout}`, limit: `/e/${limit}`, extend: `/e/${limit}/extend`, conversation: `/runs/${payout.slice(0, -2)}`, steer: `/runs/${payout.slice(0, -2)}/steer?step=resolve`, migrate: `/runs/${shipment.slice(0, -2)}/migrate?plan=pay`, unfit: `/runs/${shipment.slice(0, -2)}/migrate?plan=refund`,
  docs: '/docs', tables: '/docs/protocol', blocks: '/docs/tutorial', undocumented: '/docs/nowhere',
}

// wrong are the rules of accessibility that the page breaks.
const wrong = async (page, only) => {
  const found = await page.evaluate((runOnly) => window.axe.run({ resultTypes: ['violations'], ...(runOnly && { runOnly }) }), only)
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target + ' ' + n.failureSummary).join('; ')}`)
}

for (const viewport of [phone, screen]) {
  test(`every page is accessible and fits, ${viewport.width}`, async (t) => {
    await stage('approvals')
    await stage('agents')
    const page = await open(t, { viewport, reducedMotion: 'reduce' }) // colors change at once
    for (const [name, path] of Object.entries(pages)) {
      await page.emulateMedia({ colorScheme: 'light' })
      await page.goto(path)
      for (const d of await page.locator('.item > details, .rest').all()) await d.evaluate((e) => { e.open = true })
      await page.evaluate(axe)
      assert.deepEqual(await wrong(page), [], name)
      assert.equal(await page.locator('h1').count(), 1, `${name} has one heading`)
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is wider than the window`)
      const small = await page.locator('.verb, .button, .menu a, .item > a, summary[data-row]').evaluateAll((all) => all.filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 44).map((e) => e.textContent.trim()))
      assert.deepEqual(small, [], `${name} has things too small to press`)
      await page.emulateMedia({ colorScheme: 'dark' }) // changes nothing but colors
      assert.deepEqual(await wrong(page, ['color-contrast', 'link-in-text-block']), [], `${name} in the dark`)
      await page.evaluate(() => document.querySelectorAll('.item > details, .rest').forEach((d) => { d.open = false }))
      for (const colorScheme of process.env.SHOTS ? ['light', 'dark'] : []) {
        await page.emulateMedia({ colorScheme })
        await shot(page, `${name}-${viewport.width}-${colorScheme}`)
      }
    }
    assert.deepEqual(page.complaints, [])
  })
}

for (const view of views) {
  for (const javaScriptEnabled of [true, false]) {
    test(`from a link to an approval, ${named(view)}, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
      const page = await open(t, { ...view, javaScriptEnabled }, `/e/${refund}`)
      assert.match(await heading(page), /Refund 120.00 EUR for order A-1009/)
      await page.getByText('payments.refund needs approval').waitFor()
      await page.getByRole('link', { name: 'Approve' }).click()
      assert.deepEqual(await acts(), [], 'opening the form did something')
      await page.getByText('120.00').first().waitFor()
      await page.getByRole('button', { name: 'Approve' }).click()
      await page.getByText('Your decision counts: approve.').waitFor()
      const [act] = await acts()
      assert.equal(act.digest, 'sha256:4f2ad9c0b7e1558e')
      assert.equal(act.revision, 41)
      await shot(page, `approved-${view.viewport.width}-${view.colorScheme}${javaScriptEnabled ? '' : '-no-js'}`)
      await page.getByRole('link', { name: 'Next escalation' }).click()
      assert.notEqual(new URL(page.url()).pathname, `/e/${refund}`)
    })
  }
}

// secure is the console under the only plain address for which browsers have passkeys.
const secure = base.replace('127.0.0.1', 'localhost')
const device = async (page) => {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('WebAuthn.enable')
  await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } })
}
const fits = async (page) => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than the phone')

for (const colorScheme of ['light', 'dark']) {
  test(`a passkey is registered and approves, ${colorScheme}`, async (t) => {
    await stage(`passkey?id=${refund}`)
    const page = await open(t, { viewport: pocket, colorScheme, baseURL: secure }, `/e/${refund}/approve`)
    await device(page)
    await page.getByText('you have not registered one at').waitFor()
    assert.equal(await page.getByRole('button', { name: 'Approve' }).count(), 0)
    await fits(page)
    await shot(page, `passkey-none-390-${colorScheme}`)
    await page.getByRole('link', { name: 'Register one' }).click()
    await page.getByLabel('Name').fill('phone <b>')
    await page.getByRole('button', { name: 'Register a passkey' }).click()
    await page.getByText('Of mia, registered').waitFor()
    await fits(page)
    await page.evaluate(axe)
    const found = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }))
    assert.deepEqual(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.failureSummary).join('; ')}`), [])
    await shot(page, `passkeys-390-${colorScheme}`)
    await page.goto(`/e/${refund}/approve`)
    await fits(page)
    await shot(page, `passkey-approve-390-${colorScheme}`)
    await page.getByRole('button', { name: 'Approve with your passkey' }).click()
    await page.getByText('Your decision counts: approve.').waitFor()
    await stage(`proven?id=${refund}`)
    await page.goto('/passkeys')
    await page.getByRole('button', { name: 'Remove' }).click()
    await page.getByText('removed').first().waitFor()
    assert.deepEqual(page.complaints, [])
  })
}

test('without JavaScript, or under a number, the page of a passkey says what is missing', async (t) => {
  await stage(`passkey?id=${refund}`)
  const page = await open(t, { viewport: pocket }, `/e/${refund}/approve`)
  await page.getByText('open http://localhost:').waitFor()
  await page.goto('/passkeys')
  await page.getByText('Not on this page').waitFor()
  const plain = await open(t, { viewport: pocket, javaScriptEnabled: false, baseURL: secure }, '/passkeys')
  await plain.getByText('This needs a browser with JavaScript').waitFor()
  await plain.getByRole('button', { name: 'Register a passkey' }).click()
  await plain.getByText('Nothing was registered: it takes a browser with JavaScript.').waitFor()
  await shot(plain, 'passkeys-390-no-js')
  assert.deepEqual(await acts(), [])
})

for (const javaScriptEnabled of [true, false]) {
  test(`an agent at its limit gets more, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    await stage('agents')
    const page = await open(t, { viewport: phone, javaScriptEnabled }, `/e/${limit}`)
    assert.equal(await heading(page), 'Agent resolve has had its 3 turns. A person has to decide how it goes on.')
    assert.deepEqual(await page.locator('.lead .verb').allInnerTexts(), ['Give more…', 'Finish now…'])
    await page.getByRole('link', { name: 'Give more' }).click()
    assert.equal(await page.getByLabel('Turns').inputValue(), '3')
    await page.getByLabel('Turns').fill('-1')
    await page.getByRole('button', { name: 'Give more' }).click()
    await page.locator('.wrong').first().waitFor()
    await page.getByLabel('Turns').fill('7')
    await page.getByRole('button', { name: 'Give more' }).click()
    await page.getByText('Your decision counts: extend.').waitFor()
    const [act] = await acts()
    assert.deepEqual(act.params, { turns: 7, calls: 40, usd: 2, repeats: 3 })
  })
}

for (const colorScheme of ['light', 'dark']) {
  for (const javaScriptEnabled of [true, false]) {
    test(`calls are held back and let go, ${colorScheme}, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
      const name = `gates-390-${colorScheme}${javaScriptEnabled ? '' : '-no-js'}`
      const fits = async () => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than the phone')
      const page = await open(t, { viewport: pocket, colorScheme, javaScriptEnabled }, '/gates')
      await page.getByLabel('Tool').fill('payments.*')
      await page.getByLabel('Reason').fill('wrong amounts <b>')
      await page.getByLabel('How long').selectOption('2h')
      await fits()
      await shot(page, `${name}-form`)
      await page.getByRole('button', { name: 'Close the gate' }).click()
      await page.getByText('Nothing new begins. 1 call under way, 12 calls held back.').waitFor()
      await fits()
      await shot(page, `${name}-closed`)
      await page.goto('/')
      await page.getByRole('region', { name: 'Calls are held back' }).getByText('wrong amounts <b>').waitFor()
      await fits()
      if (javaScriptEnabled) {
        await page.evaluate(axe)
        const found = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }))
        assert.deepEqual(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.failureSummary).join('; ')}`), [])
      }
      await shot(page, `${name}-banner`)
      await page.getByRole('region', { name: 'Calls are held back' }).getByRole('link', { name: 'Gates' }).click()
      await page.getByLabel('Why it is opened').fill('mended')
      await page.getByRole('button', { name: 'Open gate g1' }).click()
      await page.getByText('No gate is closed.').waitFor()
      await page.getByText('Opened by mia').waitFor()
      await shot(page, `${name}-opened`)
      assert.deepEqual(page.complaints, [])
    })
  }
}

for (const javaScriptEnabled of [true, false]) {
  test(`a schedule is paused and resumed, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    const name = `schedules-390${javaScriptEnabled ? '' : '-no-js'}`
    const page = await open(t, { viewport: pocket, javaScriptEnabled }, '/schedules')
    const fits = async () => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than the phone')
    await fits()
    await shot(page, name)
    await page.getByLabel('Why it is paused').fill('a day off <b>')
    await page.getByRole('button', { name: 'Pause nightly' }).click()
    await page.getByText('a day off <b>').waitFor()
    await fits()
    await shot(page, `${name}-paused`)
    await page.getByRole('button', { name: 'Resume nightly' }).click()
    await page.getByText('Fires next at').waitFor()
    await page.getByRole('button', { name: 'Fire nightly now' }).click()
    await page.getByText('fired by mia').waitFor()
    assert.deepEqual(page.complaints, [])
  })
}

const written = async () => JSON.parse(await stage('messages')) ?? []
for (const colorScheme of ['light', 'dark']) {
  for (const javaScriptEnabled of [true, false]) {
    test(`a person writes to an agent at work, ${colorScheme}, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
      const name = `steer-390-${colorScheme}${javaScriptEnabled ? '' : '-no-js'}`
      const path = `/runs/${payout.slice(0, -2)}`
      await stage('agents')
      const page = await open(t, { viewport: pocket, colorScheme, javaScriptEnabled }, path)
      const text = page.getByLabel('Write to resolve')
      await text.fill('Send a new lamp instead,\nand say sorry.')
      await page.locator('.steer').scrollIntoViewIfNeeded()
      const [box, button] = [await text.boundingBox(), await page.getByRole('button', { name: 'Send' }).boundingBox()]
      assert.ok(box.x >= 0 && box.x + box.width <= pocket.width && button.height >= 44, 'it does not fit a phone')
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than the phone')
      await shot(page, `${name}-form`)
      await page.getByRole('button', { name: 'Send' }).dblclick()
      await page.getByRole('status').filter({ hasText: /Your message is written|You had sent this message already/ }).waitFor()
      await shot(page, `${name}-said`)
      await page.getByText('Send a new lamp instead,').waitFor()
      await page.locator('small', { hasText: 'not read yet' }).scrollIntoViewIfNeeded()
      await shot(page, `${name}-stands`)
      assert.deepEqual((await written()).map((m) => [m.step, m.text, m.by, m.via]), [['resolve', 'Send a new lamp instead,\nand say sorry.', 'mia', 'console']])
      await page.goto(path)
      assert.equal(await page.getByRole('status').filter({ hasText: 'message' }).count(), 0, 'it is said a second time')
      await text.fill('Stop, please.')
      await stage('over')
      await page.getByRole('button', { name: 'Send' }).click()
      await page.getByRole('alert').filter({ hasText: 'The run is over: it is cancelled.' }).waitFor()
      assert.equal(await page.getByLabel('What you typed').inputValue(), 'Stop, please.')
      assert.equal(await page.getByRole('button', { name: 'Send' }).count(), 0)
      await shot(page, `${name}-late`)
      assert.equal((await written()).length, 1)
      await page.getByRole('link', { name: 'See the run' }).click()
      assert.equal(await page.locator('.steer').count(), 0, 'an agent that is over can be written to')
      assert.deepEqual(page.complaints, [])
    })
  }
}

for (const colorScheme of ['light', 'dark']) {
  for (const javaScriptEnabled of [true, false]) {
    test(`a person takes turns of an agent back, ${colorScheme}, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
      const name = `back-390-${colorScheme}${javaScriptEnabled ? '' : '-no-js'}`
      await stage('agents')
      const page = await open(t, { viewport: pocket, colorScheme, javaScriptEnabled }, `/runs/${payout.slice(0, -2)}`)
      const turn = page.getByLabel('Take back')
      await turn.scrollIntoViewIfNeeded()
      const box = await turn.boundingBox()
      assert.ok(box.x >= 0 && box.x + box.width <= pocket.width && box.height >= 44, 'it does not fit a phone')
      await turn.selectOption('turn 2 and all after it')
      await page.getByLabel('Write to resolve').fill('That was another customer.')
      await shot(page, `${name}-form`)
      await page.getByRole('button', { name: 'Send' }).click()
      await page.getByRole('status').filter({ hasText: 'Turns 2 to 4 of resolve are taken back' }).waitFor()
      assert.deepEqual((await written()).map((m) => [m.text, m.take_back]), [['That was another customer.', 2]])
      const back = page.locator('.talk > .back')
      assert.equal(await back.count(), 3)
      assert.equal(await back.getByText('taken back by mia: That was another customer.', { exact: false }).count() >= 3, true)
      await back.first().scrollIntoViewIfNeeded()
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than the phone')
      if (javaScriptEnabled) {
        await page.evaluate(axe)
        const found = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }))
        assert.deepEqual(found.violations.map((v) => v.id), [])
      }
      await shot(page, `${name}-shown`)
      assert.deepEqual(await turn.locator('option').allInnerTexts(), ['nothing', 'turn 1 and all after it'])
      assert.deepEqual(page.complaints, [])
    })
  }
}

for (const [i, javaScriptEnabled] of [true, false].entries()) {
  test(`a run goes on under another plan, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    const run = `/runs/${shipment.slice(0, -2)}`
    const colorScheme = ['light', 'dark'][i]
    const page = await open(t, { viewport: pocket, colorScheme, javaScriptEnabled }, run)
    await page.getByText('Let this run go on under another plan').click()
    await page.getByLabel('Go on under the plan').selectOption('refund')
    await page.getByRole('button', { name: 'Show whether it fits' }).click()
    await page.getByText('does not have it; keep it in the plan').first().waitFor()
    assert.equal(await page.getByRole('button', { name: 'Yes, go on under this plan' }).count(), 0)
    await fits(page)
    await shot(page, `migrate-refused-390-${colorScheme}`)
    for (const box of await page.getByRole('checkbox').all()) await box.check()
    await page.getByRole('button', { name: 'Show whether it fits' }).click()
    await page.getByText('is withdrawn, and asked again').first().waitFor()
    await fits(page)
    if (javaScriptEnabled) {
      await page.evaluate(axe)
      const found = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }))
      assert.deepEqual(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.failureSummary).join('; ')}`), [])
    }
    await page.getByLabel('Reason').fill('the address was wrong')
    await shot(page, `migrate-390-${colorScheme}`)
    await page.getByRole('button', { name: 'Yes, go on under this plan' }).click()
    await page.getByText('It goes on from').waitFor()
    await page.goto(run)
    await page.getByText('said: the address was wrong').first().waitFor()
    assert.deepEqual(page.complaints, [])
  })
}

test('letters that are typed to an agent are no keys, and Ctrl+Enter sends', async (t) => {
  await stage('agents')
  const page = await open(t, { viewport: screen }, `/runs/${payout.slice(0, -2)}`)
  await page.getByLabel('Write to resolve').focus()
  await page.keyboard.type('pay a jar, u know?')
  await page.locator('.steer').scrollIntoViewIfNeeded()
  await shot(page, 'steer-1280')
  await page.keyboard.press('Control+Enter')
  await page.getByText('Your message is written.').waitFor()
  assert.deepEqual((await written()).map((m) => m.text), ['pay a jar, u know?'])
})

test('what models and tools say is never markup, and what the eye would miss is marked', async (t) => {
  await stage('agents')
  const page = await open(t, { viewport: screen })
  for (const path of [`/e/${payout}`, `/runs/${payout.slice(0, -2)}`]) {
    await page.goto(path)
    const talk = page.locator('.agent')
    await talk.getByText('The customer wants <b>everything</b> back, see https://evil.example/pay.').waitFor()
    assert.equal(await talk.locator('b').count(), 0)
    assert.equal(await talk.locator('a[href*="evil"]').count(), 0)
    assert.match(await talk.locator('mark.odd').first().innerText(), /202E/)
    if (process.env.SHOTS) await talk.screenshot({ path: join(process.env.SHOTS, `agent-${path.split('/')[1]}.png`) })
  }
})

test('on a phone the decisions are under the thumb wherever one reads', async (t) => {
  const page = await open(t, { viewport: phone, hasTouch: true, isMobile: true }, `/e/${charge}`)
  const inReach = async () => {
    const box = await page.getByRole('navigation', { name: 'Decisions' }).boundingBox()
    return box.y > phone.height / 2 && box.y + box.height <= phone.height + 1
  }
  assert.ok(await inReach(), 'at the top')
  await page.evaluate(() => scrollTo(0, 300))
  assert.ok(await inReach(), 'while reading')
  const others = ['It happened…', 'It did not happen: run it…', 'Skip…', 'Abort…'].map((name) => page.getByRole('link', { name, exact: true }))
  for (const link of others) assert.ok(!await link.isVisible())
  await page.getByText('Other decisions').click()
  for (const link of others) assert.ok(await link.isVisible())
  assert.ok(await inReach() || (await page.getByRole('navigation', { name: 'Decisions' }).boundingBox()).height <= phone.height * 0.63, 'the bar hides the card')
  await shot(page, 'others-360')
})

test('on a screen all that is needed stands above the fold', async (t) => {
  const page = await open(t, { viewport: screen }, `/e/${refund}`)
  const below = await page.locator('h1, .clock, .asked .params, .plan, .done > li, .subject .params > div, .verb, .effect, .ground').evaluateAll((all) => all.filter((e) => e.getBoundingClientRect().bottom > innerHeight).map((e) => e.textContent.trim()))
  assert.deepEqual(below, [])
  for (const verb of ['Approve', 'Edit', 'Reject', 'Abort']) assert.ok(await page.getByRole('link', { name: verb }).isVisible(), `${verb} is hidden where there is room`)
})

// places are where the parts of a card stand on the first screen.
const places = (page) => page.evaluate(() => {
  const at = (q) => [...document.querySelectorAll(q)].filter((e) => e.checkVisibility()).map((e) => { const { top, bottom, left, right } = e.getBoundingClientRect(); return { q, top, bottom, left, right } })
  return { head: at('h1, .clue, .clock, .ground'), bar: at('nav.decide')[0], buttons: at('.lead .verb, .options .verb'), effects: at('.lead .effect, .options + .effect') }
})

for (const view of views) {
  for (const javaScriptEnabled of [true, false]) {
    test(`the first screen says what it is about and what to do, ${named(view)}, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
      const page = await open(t, { ...view, javaScriptEnabled })
      for (const [id, parts] of Object.entries({ [shipment]: 4, [refund]: 3, [charge]: 3, [invoice]: 2 })) {
        await page.goto(`/e/${id}`)
        const { head, bar, buttons, effects } = await places(page)
        assert.equal(head.length, parts, `${id} lacks a part of its head`)
        const end = view.viewport === phone ? bar.top : view.viewport.height
        for (const p of head) assert.ok(p.top >= 0 && p.bottom <= end, `${p.q} of ${id} ends at ${p.bottom}, and what is to be seen at ${end}`)
        for (const p of [...buttons, ...effects]) assert.ok(p.top >= 0 && p.bottom <= view.viewport.height, `${p.q} of ${id} ends at ${p.bottom}`)
        assert.ok(buttons.length > 0 && effects.length > 0, `${id} has no button with what it does`)
        assert.ok(effects.at(-1).top >= buttons.at(-1).bottom, `what the button of ${id} does stands over it`)
        await shot(page, `first-${id.slice(9, 13)}-${view.viewport.width}-${view.colorScheme}${javaScriptEnabled ? '' : '-no-js'}`)
      }
      await page.goto(`/e/${shipment}`)
      assert.equal(await page.locator('.clue').innerText(), 'zip "1011" must have five digits')
      assert.equal(await page.locator('.verb.primary').innerText(), 'Edit…')
    })
  }
}

test('without a suggestion an approval offers yes beside no, and neither is the primary one', async (t) => {
  await stage(`unadvised?id=${refund}`)
  const page = await open(t, { viewport: phone }, `/e/${refund}`)
  const [yes, no] = await Promise.all(['Approve', 'Reject'].map((name) => page.getByRole('link', { name }).boundingBox()))
  assert.ok(Math.abs(yes.y - no.y) < 2 && yes.x + yes.width <= no.x && Math.abs(yes.width - no.width) < 2)
  assert.equal(await page.locator('.verb.primary').count(), 0)
  await stage(`unadvised?id=${charge}`)
  await page.goto(`/e/${charge}`)
  assert.deepEqual(await page.locator('.lead .verb').allInnerTexts(), ['Check whether it happened…', 'It happened…', 'It did not happen: run it…'])
  assert.equal(await page.locator('.verb.primary').count(), 0)
  await shot(page, 'unadvised-360')
})

test('keys alone lead to a decision, and a letter only opens', async (t) => {
  const page = await open(t, { viewport: screen }, '/')
  await page.keyboard.press('j')
  await page.keyboard.press('j')
  await page.keyboard.press('k')
  await shot(page, 'keys-list')
  await page.keyboard.press('Enter')
  await page.waitForURL(`**/e/${refund}`)
  await page.keyboard.press('x')
  await page.waitForURL('**/reject')
  await page.locator('#reason').focus()
  await page.keyboard.type('a jar of tea, ?')
  assert.equal(await page.locator('#reason').inputValue(), 'a jar of tea, ?')
  assert.deepEqual(await acts(), [])
  await page.keyboard.press('Control+Enter')
  await page.getByText('Your decision counts: reject.').waitFor()
  assert.equal((await acts())[0].reason, 'a jar of tea, ?')
  await page.keyboard.press('g')
  await page.keyboard.press('r')
  await page.waitForURL('**/runs')
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/runs/*')
  await page.keyboard.press('Escape')
  await page.waitForURL('**/runs')
})

test('a verb on a row of the list opens its form', async (t) => {
  const page = await open(t, { viewport: screen }, '/')
  await page.keyboard.press('j')
  await page.keyboard.press('n')
  await page.waitForURL(`**/e/${refund}/note`)
})

test('keys are explained and can be switched off', async (t) => {
  const page = await open(t, { viewport: screen }, `/e/${refund}`)
  await page.keyboard.press('?')
  await page.getByRole('heading', { name: 'Keys' }).waitFor()
  await page.evaluate(axe)
  assert.deepEqual((await page.evaluate(() => window.axe.run('#keys'))).violations.map((v) => v.id), [])
  await shot(page, 'keys')
  await page.getByRole('checkbox').uncheck()
  await page.keyboard.press('Escape')
  await page.keyboard.press('x')
  await page.keyboard.press('?')
  assert.match(page.url(), new RegExp(`/e/${refund}$`))
  await page.getByRole('checkbox').check()
  await page.getByRole('button', { name: 'Close' }).click()
  await page.keyboard.press('x')
  await page.waitForURL('**/reject')
})

test('news are said and move nothing, until they are asked for', async (t) => {
  const page = await open(t, { viewport: screen }, '/')
  await live(page)
  await page.keyboard.press('j')
  const places = () => page.locator('h1, .item').evaluateAll((all) => all.map((e) => [e.getBoundingClientRect().top, e.querySelector('a')?.href]))
  const before = await places()
  await stage('arrive')
  await news(page, '+ 1 new')
  await shot(page, 'news')
  assert.deepEqual(await places(), before)
  assert.ok(await page.evaluate(() => document.activeElement.matches('[data-row]')), 'the focus moved')
  assert.equal(await page.locator('#news').getAttribute('aria-live'), 'polite')
  await page.evaluate(axe)
  assert.deepEqual((await page.evaluate(() => window.axe.run())).violations.map((v) => v.id), [])
  await page.keyboard.press('.')
  await page.getByText('carrier.quote').first().waitFor()
})

test('news arrive however late the scripts do', async (t) => {
  for (const late of ['htmx', 'hx-sse', 'app']) {
    const page = await open(t, { viewport: screen })
    await page.route(`**/static/${late}*.js`, async (route) => { await new Promise((go) => setTimeout(go, 300)); await route.continue() })
    await page.goto('/')
    await live(page)
  }
})

test('news can be paused', async (t) => {
  const page = await open(t, { viewport: screen }, '/')
  await live(page)
  await page.keyboard.press('p')
  await page.locator('#live', { hasText: 'paused' }).waitFor()
  const told = page.waitForEvent('requestfinished', { predicate: (r) => r.url().includes('/news'), timeout: 2500 }).then(() => true, () => false)
  await stage('arrive')
  assert.equal(await told, false, 'it asked for news while it was paused')
  await page.keyboard.press('p')
  await news(page, '+ 1 new')
})

test('a page that lost its connection comes back and misses nothing', async (t) => {
  const page = await open(t, { viewport: screen }, '/')
  await live(page)
  await stage('hangup')
  await stage('arrive') // while nobody listens
  await news(page, '+ 1 new')
  await live(page)
})

test('a card that somebody else decides says so', async (t) => {
  const page = await open(t, { viewport: screen }, `/e/${refund}`)
  await live(page)
  await stage(`decide?id=${refund}`)
  await news(page, 'bo decided this: abort')
})

for (const javaScriptEnabled of [true, false]) {
  test(`whoever comes second is told who was first and loses no word, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    const page = await open(t, { viewport: phone, javaScriptEnabled }, `/e/${refund}/reject`)
    await page.locator('#reason').fill('Ann told me herself')
    await stage(`decide?id=${refund}`)
    await page.getByRole('button', { name: 'Reject' }).click()
    await page.getByText('Already decided: bo chose abort.').waitFor()
    assert.equal(await page.locator('#reason').inputValue(), 'Ann told me herself')
    await shot(page, `conflict-360${javaScriptEnabled ? '' : '-no-js'}`)
    assert.equal((await acts()).length, 1)
  })

  test(`an edit is checked, shown and sent, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    const page = await open(t, { viewport: phone, javaScriptEnabled }, `/e/${refund}/edit`)
    const amount = page.getByLabel('amount')
    await amount.fill('a lot')
    await page.getByRole('button', { name: 'Edit' }).click()
    await page.getByText('This is not a number').waitFor()
    assert.equal(await amount.getAttribute('aria-invalid'), 'true')
    await shot(page, `invalid-360${javaScriptEnabled ? '' : '-no-js'}`)
    await amount.fill('99.50')
    await page.getByRole('button', { name: 'Edit' }).click()
    await page.getByRole('heading', { name: 'Edit: are you sure?' }).waitFor()
    await shot(page, `diff-360${javaScriptEnabled ? '' : '-no-js'}`)
    assert.deepEqual(await acts(), [])
    await page.getByRole('button', { name: 'Yes, edit' }).click()
    await page.getByText('Your decision counts: edit.').waitFor()
    assert.deepEqual((await acts())[0].params, { order: 'A-1009', amount: 99.5, currency: 'EUR', notify: true })
  })

  test(`an answer is one tap and a confirm, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    const page = await open(t, { viewport: phone, javaScriptEnabled }, `/e/${invoice}`)
    await page.getByRole('link', { name: 'INV-2265 of 1 October' }).click()
    assert.deepEqual(await acts(), [], 'the tap alone answered')
    await page.getByText('The run goes on with your answer.').waitFor()
    await page.getByRole('button', { name: 'Yes, answer this' }).click()
    await page.getByText('Your decision counts: answer.').waitFor()
    assert.equal((await acts())[0].answer, 'INV-2265 of 1 October')
  })

  test(`a refused call is edited from its clue on, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    const page = await open(t, { viewport: phone, javaScriptEnabled }, `/e/${shipment}`)
    await page.getByText('zip "1011" must have five digits').waitFor()
    await page.getByRole('link', { name: 'Edit' }).click()
    assert.deepEqual(await page.locator('.field label').evaluateAll((all) => all.map((l) => l.firstChild.data.trim()).slice(0, 4)), ['order', 'zip', 'weight', 'to'])
    await page.getByLabel('zip').first().fill('10115')
    await page.getByRole('button', { name: 'Edit: review' }).click()
    await page.getByRole('button', { name: 'Yes, edit' }).click()
    await page.getByText('Your decision counts: edit.').waitFor()
    assert.equal((await acts())[0].params.zip, '10115')
  })

  test(`it happened, says an id, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    await stage(`free?id=${charge}`)
    const page = await open(t, { viewport: phone, javaScriptEnabled }, `/e/${charge}`)
    await page.getByText('Other decisions').click()
    await page.getByRole('link', { name: /^It happened/ }).click()
    await page.getByText('An id or a sentence is enough.').waitFor()
    await page.locator('#f0').fill('ch_99')
    await page.locator('#reason').fill('seen at the bank')
    await shot(page, `happened-filled-360${javaScriptEnabled ? '' : '-no-js'}`)
    await page.getByRole('button', { name: /^It happened/ }).click()
    await page.getByText('Your decision counts: answer.').waitFor()
    assert.deepEqual((await acts())[0].answer, { id: 'ch_99' })
  })

  test(`looking whether it happened is one tap and a confirm, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    await stage(`free?id=${charge}`)
    const page = await open(t, { viewport: phone, javaScriptEnabled }, `/e/${charge}`)
    await page.getByRole('link', { name: 'Check whether it happened' }).click()
    assert.deepEqual(await acts(), [])
    await page.getByRole('button', { name: 'Check whether it happened' }).click()
    await page.getByText('Your decision counts: verify.').waitFor()
    assert.equal((await acts())[0].verb, 'verify')
  })

  test(`signing in says what is wrong where it is wrong, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    const page = await open(t, { viewport: phone, javaScriptEnabled }, '/login?provider')
    assert.equal(await page.locator('.env').innerText(), 'PROD eu-1')
    await page.getByLabel('API token').fill('belay_wrong')
    await page.getByRole('button', { name: 'Sign in with the token' }).click()
    await page.getByRole('alert').filter({ hasText: 'The token is not valid' }).waitFor()
    await shot(page, `login-wrong-360${javaScriptEnabled ? '' : '-no-js'}`)
    await page.evaluate(axe).catch(() => {})
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth))
    assert.deepEqual(page.complaints.filter((c) => !/status of 401/.test(c)), [])
  })

  test(`the sign-in code leads on to what is to be decided, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    for (const colorScheme of ['light', 'dark']) {
      const page = await open(t, { viewport: phone, javaScriptEnabled, colorScheme }, `/login/code?next=/e/${invoice}/answer`)
      await page.getByText('Deciding what an agent does needs the sign-in code').waitFor()
      assert.equal(await page.getByRole('alert').count(), 0)
      await page.getByLabel('Sign-in code').fill('the-code')
      await shot(page, `code-360-${colorScheme}${javaScriptEnabled ? '' : '-no-js'}`)
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth))
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.waitForURL(`**/e/${invoice}/answer`)
      await page.goto(new URL(`/login/code?next=/e/${invoice}/answer&problem=that+is+not+the+code`, page.url()).href)
      await page.getByRole('alert').filter({ hasText: 'That is not the code' }).waitFor()
      assert.deepEqual(page.complaints, [])
    }
  })

  test(`twenty alike approvals are one line that says how they differ, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    await stage('approvals')
    const page = await open(t, { viewport: phone, javaScriptEnabled }, '/')
    const row = page.locator('.item', { hasText: '20 ×' })
    await row.getByText('amount 12.00 to 335.00, customer differs').waitFor()
    await row.locator('summary').click()
    await row.getByText('amount 29.00 · customer customer-1').waitFor()
    await shot(page, `approvals-unfolded-360${javaScriptEnabled ? '' : '-no-js'}`)
    await row.getByRole('link', { name: 'Show all 20' }).click()
    assert.equal(await page.locator('.item').count(), 20)
    assert.ok(!(await page.locator('#list').innerText()).includes('A-1009'), 'a row says what all have in common')
  })

  test(`a question is answered, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    const page = await open(t, { viewport: phone, javaScriptEnabled }, `/e/${invoice}/answer`)
    assert.equal(await page.locator('main :checked').count(), 0, 'an answer is chosen beforehand')
    await page.getByText('INV-2265 of 1 October').click()
    await page.getByRole('button', { name: 'Answer' }).click()
    await page.getByText('Your decision counts: answer.').waitFor()
    assert.equal((await acts())[0].answer, 'INV-2265 of 1 October')
  })

  test(`a hundred alike are redriven, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    const page = await open(t, { viewport: screen, javaScriptEnabled }, '/')
    await page.getByText('100 ×').click()
    await shot(page, `unfolded-1280${javaScriptEnabled ? '' : '-no-js'}`)
    await page.getByRole('link', { name: 'Redrive all 100' }).click()
    await page.getByLabel('all 100').check()
    await page.getByRole('button', { name: 'Retry' }).click()
    await page.getByRole('heading', { name: 'Retry 100 of 100?' }).waitFor()
    assert.deepEqual(await acts(), [])
    await shot(page, `preview-1280${javaScriptEnabled ? '' : '-no-js'}`)
    await page.getByRole('button', { name: 'Retry these 100' }).click()
    await page.getByRole('heading', { name: 'Retry: 100 of 100 done' }).waitFor()
    assert.equal((await acts()).length, 100)
  })
}

test('waves are watched without a hand, and nothing moves under the finger', async (t) => {
  await stage('wave?done=3')
  const page = await open(t, { viewport: phone }, '/redrives/wave')
  await live(page)
  await page.getByRole('heading', { name: 'Retry: 3 of 100 done so far' }).waitFor()
  const stop = page.getByRole('button', { name: 'Stop here' })
  await stop.focus()
  const before = await stop.boundingBox()
  await stage('wave?done=15')
  await page.getByRole('heading', { name: 'Retry: 15 of 100 done so far' }).waitFor()
  assert.deepEqual(await stop.boundingBox(), before, 'the button moved')
  assert.ok(await stop.evaluate((e) => e === document.activeElement), 'the focus is lost')
  await shot(page, 'wave-360')
  await stage('wave?done=100')
  await page.getByRole('heading', { name: 'Retry: 100 of 100 done' }).waitFor()
  assert.equal(await stop.count(), 0)
  assert.deepEqual(page.complaints, [])
})

test('waves are stopped, without JavaScript too', async (t) => {
  await stage('wave?done=7')
  const page = await open(t, { viewport: screen, javaScriptEnabled: false }, '/redrives/wave')
  await page.getByRole('link', { name: 'Reload' }).click()
  await shot(page, 'wave-1280-no-js')
  await page.getByRole('button', { name: 'Stop here' }).click()
  await page.getByText('mia stopped it: 7 retried; 93 not touched.').waitFor()
})

test('pages of what came of a form are accessible too', async (t) => {
  for (const view of views) {
    await stage('reset')
    const page = await open(t, view, `/e/${refund}/edit`)
    const clean = async (name) => {
      await page.evaluate(axe)
      const found = await page.evaluate(() => window.axe.run())
      assert.deepEqual(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join('; ')}`), [], `${name}, ${named(view)}`)
    }
    await page.getByLabel('amount').fill('9999')
    await page.getByRole('button', { name: 'Edit' }).click()
    await page.locator('.wrong').waitFor()
    await clean('a form with a mistake')
    await page.getByLabel('amount').fill('99.50')
    await page.getByRole('button', { name: 'Edit' }).click()
    await page.locator('.diff').waitFor()
    await clean('what changes')
    await shot(page, `diff-${view.viewport.width}-${view.colorScheme}`)
    await stage(`decide?id=${refund}`)
    await page.getByRole('button', { name: 'Yes, edit' }).click()
    await page.getByText('Already decided: bo chose').waitFor()
    await clean('somebody was first')
    await page.goto(`/e/${refund}`)
    await clean('a card that is settled')
    await stage('wave?done=15')
    await page.goto('/redrives/wave')
    await clean('waves')
    await shot(page, `wave-${view.viewport.width}-${view.colorScheme}`)
  }
})

test('nothing moves where motion is unwanted, and times turn local', async (t) => {
  const page = await open(t, { viewport: screen, reducedMotion: 'reduce', timezoneId: 'Asia/Tokyo', locale: 'en-GB' }, `/e/${refund}`)
  const time = page.locator('.trail time').first()
  assert.match(await time.innerText(), /UTC$/)
  await page.keyboard.press('l')
  assert.doesNotMatch(await time.innerText(), /UTC/)
  assert.equal(await page.locator('.verb').first().evaluate((e) => getComputedStyle(e).transitionDuration), '0s')
})
