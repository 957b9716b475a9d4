// Passkeys: what a form needs of the reader's device before it is sent. Without this script the form is refused.
(() => {
  'use strict'
  document.querySelectorAll('[data-without-script]').forEach((e) => e.remove())
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0))
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
  const known = (ids) => ids.split(',').filter(Boolean).map((id) => ({ type: 'public-key', id: bytes(id) }))

  const approve = async (form) => {
    const { passkey, passkeyIds } = form.dataset
    const made = await navigator.credentials.get({ publicKey: { challenge: bytes(passkey), allowCredentials: known(passkeyIds), userVerification: 'required' } })
    const said = made.response
    return { 'passkey.credential': text(made.rawId), 'passkey.client': text(said.clientDataJSON), 'passkey.authenticator': text(said.authenticatorData), 'passkey.signature': text(said.signature) }
  }
  const register = async (form) => {
    const { register, user, person, known: ids } = form.dataset
    const made = await navigator.credentials.create({ publicKey: {
      challenge: bytes(register), rp: { name: 'Belay' }, user: { id: bytes(user), name: person, displayName: person },
      pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: 'public-key', alg })), excludeCredentials: known(ids),
      authenticatorSelection: { userVerification: 'required' }, attestation: 'none',
    } })
    const said = made.response, key = said.getPublicKey()
    if (!key) throw new Error('this browser does not give the public key of what it has made')
    return { client: text(said.clientDataJSON), authenticator: text(said.getAuthenticatorData()), key: text(key) }
  }

  document.addEventListener('submit', async (e) => {
    const form = e.target, ask = form.dataset.passkey ? approve : form.dataset.register ? register : null
    if (!ask || form.dataset.signed) return
    e.preventDefault()
    const problem = form.querySelector('[data-passkey-problem]')
    problem.hidden = true
    try {
      if (!window.PublicKeyCredential) throw new Error('this browser has no passkeys on this page: it takes https, or localhost')
      for (const [name, value] of Object.entries(await ask(form))) form.elements[name].value = value
      form.dataset.signed = 'yes'
      form.submit()
    } catch (err) {
      problem.textContent = err.name === 'NotAllowedError' ? 'Nothing was sent: your device did not confirm it, or it took too long. Try again.'
        : err.name === 'InvalidStateError' ? 'This device has a passkey of yours already.' : `Nothing was sent: ${err.message}.`
      problem.hidden = false
    }
  })
})()
