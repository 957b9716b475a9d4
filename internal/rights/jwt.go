package rights

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// JWTs writes the accounts as JWTs into a folder, with a configuration of a server that knows them and credentials for every user.
// Keys that are in the folder are used again, so that the credentials of before stay good. It returns the files that it wrote.
func (l Layout) JWTs(dir string) ([]string, error) {
	f := folder{dir: dir, accounts: map[string]nkeys.KeyPair{}}
	err := f.write(l)
	return f.files, err
}

// folder is where keys, JWTs and credentials are.
type folder struct {
	dir      string
	files    []string
	operator nkeys.KeyPair
	accounts map[string]nkeys.KeyPair
	preload  []string // lines of the server's configuration
}

func (f *folder) write(l Layout) (err error) {
	if f.operator, err = f.key("operator", nkeys.PrefixByteOperator); err != nil {
		return err
	}
	all := append(l.Accounts(), Account{Name: sysAccount})
	for _, a := range all {
		if f.accounts[a.Name], err = f.key("account-"+a.Name, nkeys.PrefixByteAccount); err != nil {
			return err
		}
	}
	system, err := f.accounts[sysAccount].PublicKey()
	if err != nil {
		return fmt.Errorf("key of the system account: %w", err)
	}
	public, err := f.operator.PublicKey()
	if err != nil {
		return fmt.Errorf("key of the operator: %w", err)
	}
	o := jwt.NewOperatorClaims(public)
	o.Name, o.SystemAccount = "belay", system
	text, err := o.Encode(f.operator)
	if err == nil {
		err = f.put("operator.jwt", text, 0o644)
	}
	for _, a := range all {
		if err == nil {
			err = f.account(a)
		}
	}
	if err != nil {
		return err
	}
	return f.put("nats.conf", strings.Replace(confHead, confAbout, jwtAbout, 1)+"operator: operator.jwt\nsystem_account: "+system+
		"\nresolver: MEMORY\nresolver_preload {\n"+strings.Join(f.preload, "")+"}\n", 0o644)
}

const sysAccount = "SYS"

// key reads a key in the folder, or makes it.
func (f *folder) key(name string, kind nkeys.PrefixByte) (nkeys.KeyPair, error) {
	path := filepath.Join(f.dir, "keys", name+".nk")
	seed, err := os.ReadFile(path)
	if err == nil {
		k, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(seed))))
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", path, err)
		}
		return k, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("key %s: %w", path, err)
	}
	k, err := nkeys.CreatePair(kind)
	if err == nil {
		seed, err = k.Seed()
	}
	if err != nil {
		return nil, fmt.Errorf("make key %s: %w", path, err)
	}
	return k, f.put(filepath.Join("keys", name+".nk"), string(seed)+"\n", 0o600)
}

func (f *folder) put(name, text string, mode fs.FileMode) error {
	path := filepath.Join(f.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(text), mode)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	f.files = append(f.files, path)
	return nil
}

func (f *folder) account(a Account) error {
	key := f.accounts[a.Name]
	public, err := key.PublicKey()
	if err != nil {
		return fmt.Errorf("key of account %s: %w", a.Name, err)
	}
	c := jwt.NewAccountClaims(public)
	c.Name = a.Name
	if a.JetStream {
		c.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	}
	for _, e := range a.Exports {
		c.Exports.Add(e.claim())
	}
	for _, i := range a.Imports {
		claim, err := f.imported(i)
		if err != nil {
			return fmt.Errorf("account %s: %w", a.Name, err)
		}
		c.Imports.Add(claim)
	}
	for _, s := range a.Dead {
		c.AddMapping(jwt.Subject(s), jwt.WeightedMapping{Subject: nowhere})
	}
	for _, u := range a.Users { // of the account, because the line with which a user connects must be short
		c.DefaultPermissions = u.permissions()
	}
	text, err := c.Encode(f.operator)
	if err != nil {
		return fmt.Errorf("account %s: %w", a.Name, err)
	}
	f.preload = append(f.preload, "  # "+a.Name+"\n  "+public+": "+text+"\n")
	for _, u := range a.Users {
		if err := f.user(u, key); err != nil {
			return fmt.Errorf("user %s: %w", u.Name, err)
		}
	}
	return nil
}

func (e Export) claim() *jwt.Export {
	c := &jwt.Export{Name: e.Subject, Subject: jwt.Subject(e.Subject), Type: jwt.Service}
	switch {
	case e.Stream:
		c.Type = jwt.Stream
	case e.Many:
		c.ResponseType = jwt.ResponseTypeStream
	}
	return c
}

// imported is an import. What is exported needs no word of its owner: only who has the operator's key can make an account import it.
func (f *folder) imported(i Import) (*jwt.Import, error) {
	public, err := f.accounts[i.From].PublicKey()
	if err != nil {
		return nil, fmt.Errorf("import %s: %w", i.Subject, err)
	}
	c := &jwt.Import{Name: i.Subject, Subject: jwt.Subject(i.Subject), Account: public, Type: i.claim().Type}
	if i.Local != "" {
		c.LocalSubject = jwt.RenamingSubject(numbered(i.Local))
	}
	return c, nil
}

// numbered writes each wildcard of one token as a reference to that of the other subject.
func numbered(subject string) string {
	tokens, n := strings.Split(subject, "."), 0
	for k := range tokens {
		if tokens[k] == "*" {
			n++
			tokens[k] = "$" + strconv.Itoa(n)
		}
	}
	return strings.Join(tokens, ".")
}

func (u User) permissions() (p jwt.Permissions) {
	p.Pub.Allow.Add(u.Publish...)
	p.Pub.Deny.Add(u.Deny...)
	p.Sub.Allow.Add(u.Subscribe...)
	if u.Answers {
		p.Resp = &jwt.ResponsePermission{MaxMsgs: jwt.NoLimit, Expires: time.Minute}
	}
	return p
}

func (f *folder) user(u User, account nkeys.KeyPair) error {
	key, err := f.key("user-"+u.Name, nkeys.PrefixByteUser)
	if err != nil {
		return err
	}
	public, err := key.PublicKey()
	if err != nil {
		return err
	}
	c := jwt.NewUserClaims(public)
	c.Name = u.Name
	text, err := c.Encode(account)
	if err != nil {
		return err
	}
	seed, err := key.Seed()
	if err != nil {
		return err
	}
	creds, err := jwt.FormatUserConfig(text, seed)
	if err != nil {
		return err
	}
	return f.put(filepath.Join("creds", u.Name+".creds"), string(creds), 0o600)
}
