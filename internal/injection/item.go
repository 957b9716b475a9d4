package injection

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"belay/internal/steps"
)

// Item is one entry of `faults:` in a settings file: the keys of an order as they are written, without when it begins.
type Item url.Values

// keys are those of an item; label may occur several times.
var keys = []string{"tool", "rung", "run", "label", "kind", "class", "retry_after", "rate", "for", "acted", "delay", "reason", "unsafe"}

// Keys lists what an item may say.
func Keys() []string { return slices.Clone(keys) }

// ParseItem reads an item that is written as the query of a URL: tool=orders.lookup&class=timeout&for=10m. It reports what
// is wrong with it before anything begins.
func ParseItem(text string) (Item, error) {
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not written like tool=orders.lookup&class=timeout&for=10m", text)
	}
	for key, all := range values {
		if !slices.Contains(keys, key) {
			return nil, fmt.Errorf("unknown key %q of a fault: use %s", key, strings.Join(keys, ", "))
		}
		if len(all) > 1 && key != "label" {
			return nil, fmt.Errorf("a fault has %s twice", key)
		}
	}
	it := Item(values)
	o, err := it.Order(time.Unix(0, 0))
	if err == nil {
		err = o.Check()
	}
	return it, err
}

// Order is what the item asks for, from a time on. Its id is made of what it says, so that workers with the same settings
// decide alike about an attempt.
func (it Item) Order(from time.Time) (Order, error) {
	v := url.Values(it)
	sum := sha256.Sum256([]byte(v.Encode()))
	o := Order{
		ID: hex.EncodeToString(sum[:4]), By: "the settings", Made: from, Tool: v.Get("tool"), Rung: v.Get("rung"), Run: v.Get("run"),
		Kind: Kind(v.Get("kind")), Class: steps.Class(v.Get("class")), Reason: v.Get("reason"), Unsafe: v.Get("unsafe"), Rate: 1,
	}
	if o.Kind == "" {
		o.Kind = Fault
	}
	var errs []error
	lasts := it.duration("for", &errs)
	o.Until = from.Add(lasts)
	o.Delay, o.RetryAfter = steps.Duration(it.duration("delay", &errs)), steps.Duration(it.duration("retry_after", &errs))
	if text := v.Get("rate"); text != "" {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil {
			errs = append(errs, fmt.Errorf("rate %q: is not a number like 0.2", text))
		}
		o.Rate = rate
	}
	var err error
	if o.Acted, err = ParseWhen(v.Get("acted")); err != nil {
		errs = append(errs, err)
	}
	if o.Labels, err = ParseLabels(v["label"]); err != nil {
		errs = append(errs, err)
	}
	return o, errors.Join(errs...)
}

func (it Item) duration(key string, errs *[]error) time.Duration {
	text := url.Values(it).Get(key)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		*errs = append(*errs, fmt.Errorf("%s %q: is not a duration like 30s, 5m or 2h", key, text))
	}
	return d
}

// ParseWhen reads whether the tool is called: no is another word for before, which is the default.
func ParseWhen(text string) (When, error) {
	switch text {
	case "", "no", string(Before):
		return Before, nil
	case string(After):
		return After, nil
	}
	return "", fmt.Errorf("acted %q: must be no, before or after", text)
}

// ParseLabels reads labels that are written k=v.
func ParseLabels(list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	labels := map[string]string{}
	for _, text := range list {
		k, v, ok := strings.Cut(text, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("label %q: must be name=value", text)
		}
		labels[k] = v
	}
	return labels, nil
}
