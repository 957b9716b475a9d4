package plan

import (
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"belay/internal/executor"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

func (f *toolsFile) readModel(r *RungDef, n *yaml.Node) {
	m := &executor.Model{MaxBytes: steps.MaxOutput, Compile: CompileSchema}
	var price *steps.Price
	found := f.Object(n, "model", f.modelFields(m, &price))
	f.Require(n, "model", found, "provider", "model")
	r.Spec.Model, r.Price = m, price
	r.Target = "model " + m.Model + " at " + providerOf(m)
}

// providerOf is where a model is asked, for people: https://host/path.
func providerOf(m *executor.Model) string {
	switch {
	case m.BaseURL != "":
		return m.BaseURL
	case m.Provider == executor.ProviderAnthropic:
		return "https://api.anthropic.com"
	}
	return "https://api.openai.com"
}

// modelFields are the keys of a model executor.
func (f *toolsFile) modelFields(m *executor.Model, price **steps.Price) yamldoc.Fields {
	return yamldoc.Fields{
		"provider":          yamldoc.Choice(f.Reader, &m.Provider, executor.ProviderOpenAI, executor.ProviderAnthropic),
		"model":             f.Checked(&m.Model, validModel, "as the provider calls it, without blanks"),
		"base_url":          f.modelURL(&m.BaseURL),
		"auth":              func(n *yaml.Node) { f.Require(n, "auth", f.Object(n, "auth", f.modelAuthFields(m)), "bearer_env") },
		"instructions":      f.modelText("instructions", &m.Instructions),
		"prompt":            f.modelText("prompt", &m.Prompt),
		"max_output_tokens": f.Int(&m.MaxOutputTokens, 1, 10_000_000),
		"temperature": func(n *yaml.Node) {
			m.Temperature = new(float64)
			f.Float(m.Temperature, 0, 2)(n)
		},
		"max_bytes": f.Int(&m.MaxBytes, 1, maxBytes),
		"price":     func(n *yaml.Node) { f.readPrice(price, n) },
	}
}

// modelAuthFields are the keys of a model executor's auth.
func (f *toolsFile) modelAuthFields(m *executor.Model) yamldoc.Fields {
	return yamldoc.Fields{"bearer_env": f.Checked(&m.BearerEnv, validEnv, "the name of an environment variable of the worker, not the secret itself")}
}

// readPrice reads what a model costs. What its provider had kept never costs more than what it reads anew: what is reserved for
// an agent's turn reckons with the latter.
func (f *toolsFile) readPrice(into **steps.Price, n *yaml.Node) {
	p, before := &steps.Price{}, len(f.Problems)
	*into = p
	found := f.Object(n, "price", f.priceFields(p))
	f.Require(n, "price", found, "input", "output")
	if len(f.Problems) == before && p.Cached > p.Input {
		f.At(found["cached"], "it is the price of what the provider had kept, and at most that of input", "cached, %s, is more than input, %s", yamldoc.Number(p.Cached), yamldoc.Number(p.Input))
	}
}

// priceFields are the keys of a price, in US dollars for a million tokens.
func (f *toolsFile) priceFields(p *steps.Price) yamldoc.Fields {
	const most = 1_000_000
	return yamldoc.Fields{"input": f.Float(&p.Input, 0, most), "output": f.Float(&p.Output, 0, most), "cached": f.Float(&p.Cached, 0, most)}
}

func validModel(s string) bool {
	return s != "" && len(s) <= 200 && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f })
}

// modelURL reads where a provider is reached. It is fixed: whoever chooses it gets the key.
func (f *toolsFile) modelURL(into *string) yamldoc.Field {
	return func(n *yaml.Node) {
		s, ok := f.Text(n)
		if !ok {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Contains(s, "${") {
			f.At(n, "like https://api.example.com/v1, without expressions, user, query and fragment", "%q is not where a model can be asked", yamldoc.Shorten(withoutSecrets(s)))
			return
		}
		*into = s
	}
}

func (f *toolsFile) modelText(key string, into *executor.Text) yamldoc.Field {
	return func(n *yaml.Node) {
		if _, ok := f.Text(n); ok && f.notBlank(n, key, "leave it out, or say something") {
			*into = f.template(n, nil)
		}
	}
}

// settleModels is done once the whole tool is read: what its models answer with, if the tool has a schema for it.
func (f *toolsFile) settleModels(t *ToolDef, n *yaml.Node) {
	for i := range t.Rungs {
		r := &t.Rungs[i]
		if r.Spec.Model == nil || t.OutputSchema == nil || r.Reshape != nil {
			continue
		}
		if !ofObjects(t.OutputSchema) {
			f.At(yamldoc.ValueOf(n, "output_schema"), "let it be of type: object, or make the output with the rung's output", "a model answers with an object, which the output_schema does not say")
			return
		}
		r.Spec.Model.Schema, r.Spec.Model.Fits = t.OutputSchema, t.CheckOutput
	}
}

// acts reports whether a rung may change something in the world. A model reads and writes; what it says to do others do.
func (r *RungDef) acts() bool { return !r.Harmless() && r.Spec.Model == nil }

// lintEffects warns of a tool that counts as unsafe though nothing in it can act.
func (f *toolsFile) lintEffects(t *ToolDef) {
	asks := slices.ContainsFunc(t.Rungs, func(r RungDef) bool { return r.Spec.Model != nil })
	if !asks || t.Effects != steps.EffectsUnsafe || slices.ContainsFunc(t.Rungs, func(r RungDef) bool { return r.acts() }) {
		return
	}
	f.Warn(yamldoc.ValueOf(t.at.node, "effects"), "effects: none", "a model changes nothing in the world, and the tool is unsafe: people are asked about an answer that was lost, where it could be asked for again")
}
