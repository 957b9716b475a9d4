package pages

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"belay/internal/handoff"
	"belay/internal/passkey"
	"belay/internal/people"
	"belay/internal/steps"
)

// Passkeys are those that people have registered. The errors are [passkey.ErrNone] and [passkey.ErrExists].
type Passkeys interface {
	// Seen are those that somebody sees and may remove.
	Seen(ctx context.Context, who people.Actor) ([]passkey.Passkey, error)
	// Of lists those that somebody can approve with on pages of an origin.
	Of(ctx context.Context, person, origin string) ([]passkey.Passkey, error)
	Add(ctx context.Context, k passkey.Passkey) error
	// Remove removes one of those that somebody sees.
	Remove(ctx context.Context, who people.Actor, id string) (passkey.Passkey, error)
}

// passkeysView is the page on which people register theirs.
type passkeysView struct {
	Mine, Others []passkeyView
	Unusable     string // why browsers have none on this page; empty = they do
	SignIn       string // path of the sign-in page, for whoever has to
	May          bool   // the reader may approve, so a passkey is of use
	Name         string // that was typed
	Errors       []string

	Challenge, User, Person string
	Known                   string // ids that the reader's devices have already, with commas between
}

type passkeyView struct {
	ID, Person, Name, Origin string
	Made, Removed            moment
	RemovedBy                string
}

// passkeyAsk is what the page of an approval needs to ask for a passkey.
type passkeyAsk struct {
	Challenge string
	IDs       string // of the passkeys that will do, with commas between
	Problem   string // why none can be asked for here; empty = it can
	Register  bool   // registering one helps
}

// origin is the address of the pages as the reader's browser has it.
func (c *Console) origin(r *http.Request) string {
	if u, err := url.Parse(c.o.PublicURL); err == nil && strings.EqualFold(u.Host, r.Host) {
		return u.Scheme + "://" + u.Host
	}
	return "http://" + r.Host
}

// registration is what the device of somebody signs when a passkey is registered: that it is theirs, and here. Nothing that a
// device says when it makes one is believed, so it need not be fresh.
func registration(person, origin string) []byte {
	sum := sha256.Sum256([]byte("belay passkey registration v1\n" + origin + "\n" + person))
	return sum[:]
}

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func credentials(list []passkey.Passkey) string {
	ids := make([]string, len(list))
	for i, k := range list {
		ids[i] = k.CredentialText()
	}
	return strings.Join(ids, ",")
}

// askPasskey fills in what the form of an approval needs to ask for a passkey, where one is asked for.
func (c *Console) askPasskey(r *http.Request, v *formView, card *handoff.Card, p people.Actor) error {
	a := card.Dossier.Approval
	if v.Verb != people.Approve || a == nil || a.Proof != steps.ProofPasskey {
		return nil
	}
	v.Passkey = &passkeyAsk{}
	if v.Passkey.Problem = c.noPasskeys(r); v.Passkey.Problem != "" {
		return nil
	}
	mine, err := c.o.Passkeys.Of(r.Context(), p.Name, c.origin(r))
	if err != nil {
		return err
	}
	if len(mine) == 0 {
		v.Passkey.Problem, v.Passkey.Register = "you have not registered one at "+c.origin(r), true
		return nil
	}
	v.Passkey.Challenge, v.Passkey.IDs = encoded(c.o.Desk.Challenge(p, card)), credentials(mine)
	return nil
}

// noPasskeys says why browsers use no passkeys on these pages; empty = they do.
func (c *Console) noPasskeys(r *http.Request) string {
	if why := passkey.Usable(c.origin(r)); why != nil {
		return why.Error()
	}
	if c.o.Passkeys == nil {
		return "nobody can register one here"
	}
	return ""
}

// readPasskey reads what the reader's passkey has signed.
func (v *formView) readPasskey(form url.Values) {
	if v.Passkey == nil {
		return
	}
	a := steps.Assertion{Credential: form.Get("passkey.credential")}
	ok := a.Credential != ""
	for name, into := range map[string]*[]byte{"client": &a.Client, "authenticator": &a.Authenticator, "signature": &a.Signature} {
		b, err := base64.RawURLEncoding.DecodeString(form.Get("passkey." + name))
		*into, ok = b, ok && err == nil && len(b) > 0
	}
	if !ok {
		v.Errors = append(v.Errors, "This approval needs your passkey, which takes a browser with JavaScript. Nothing was decided.")
		return
	}
	v.Signed = &a
	v.Shown = map[string]string{"credential": a.Credential, "client": encoded(a.Client), "authenticator": encoded(a.Authenticator), "signature": encoded(a.Signature)}
}

func (c *Console) passkeys(w http.ResponseWriter, r *http.Request) {
	c.showPasskeys(w, r, http.StatusOK, "", nil)
}

func (c *Console) showPasskeys(w http.ResponseWriter, r *http.Request, status int, name string, wrong []string) {
	if c.o.Passkeys == nil {
		c.nowhere(w, r)
		return
	}
	p, origin := c.o.Who(r), c.origin(r)
	all, err := c.o.Passkeys.Seen(r.Context(), p)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := passkeysView{May: p.May(people.Approve) == nil, Name: name, Errors: wrong, Person: p.Name, Challenge: encoded(registration(p.Name, origin)), Unusable: c.noPasskeys(r)}
	user := sha256.Sum256([]byte(p.Name))
	v.User = encoded(user[:])
	if p.Local {
		v.SignIn = signInPath("/passkeys")
	}
	var known []passkey.Passkey
	for _, k := range all {
		shown := passkeyView{k.ID, k.Person, k.Name, k.Origin, at(k.Made, c.o.Now()), at(k.Removed, c.o.Now()), k.RemovedBy}
		if steps.SamePerson(k.Person, p.Name) {
			v.Mine, known = append(v.Mine, shown), append(known, k)
			continue
		}
		v.Others = append(v.Others, shown)
	}
	v.Known = credentials(known)
	c.show(w, r, status, "passkeys", page{Title: "Passkeys", Nav: "system", Body: v})
}

// addPasskey registers the passkey that the reader's browser has made.
func (c *Console) addPasskey(w http.ResponseWriter, r *http.Request) {
	if c.o.Passkeys == nil || !c.parse(w, r) {
		return
	}
	p, name := c.o.Who(r), r.PostForm.Get("name")
	refuse := func(status int, why string) {
		c.showPasskeys(w, r, status, name, []string{"Nothing was registered: " + why + "."})
	}
	if err := p.May(people.Approve); err != nil {
		refuse(http.StatusForbidden, err.Error())
		return
	}
	if p.Local { // an agent on this machine comes in like that too
		refuse(http.StatusForbidden, "sign in first")
		return
	}
	reg := passkey.Registration{Person: p.Name, Name: name, Origin: c.origin(r), Challenge: registration(p.Name, c.origin(r))}
	for field, into := range map[string]*[]byte{"client": &reg.Client, "authenticator": &reg.Authenticator, "key": &reg.Key} {
		b, err := base64.RawURLEncoding.DecodeString(r.PostForm.Get(field))
		if err != nil || len(b) == 0 {
			refuse(http.StatusUnprocessableEntity, "it takes a browser with JavaScript")
			return
		}
		*into = b
	}
	k, err := reg.New(c.o.Now())
	if err == nil {
		err = c.o.Passkeys.Add(r.Context(), k)
	}
	if err != nil {
		refuse(http.StatusUnprocessableEntity, err.Error())
		return
	}
	c.o.Logger.InfoContext(r.Context(), "a passkey was registered", "passkey", k.ID, "by", p.Name)
	http.Redirect(w, r, "/passkeys", http.StatusSeeOther)
}

// removePasskey removes one of the reader's own; an admin removes any.
func (c *Console) removePasskey(w http.ResponseWriter, r *http.Request) {
	if c.o.Passkeys == nil || !c.parse(w, r) {
		return
	}
	p, id := c.o.Who(r), r.PathValue("id")
	switch _, err := c.o.Passkeys.Remove(r.Context(), p, id); {
	case errors.Is(err, passkey.ErrNone):
		c.showPasskeys(w, r, http.StatusNotFound, "", []string{"There is no such passkey, or it is somebody else's."})
	case err != nil:
		c.fail(w, r, err)
	default:
		c.o.Logger.InfoContext(r.Context(), "a passkey was removed", "passkey", id, "by", p.Name)
		http.Redirect(w, r, "/passkeys", http.StatusSeeOther)
	}
}
