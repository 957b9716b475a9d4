package cli

import (
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"belay/internal/injection"
)

// FaultFlags say whether a worker injects faults on purpose, and which it does by itself.
type FaultFlags struct {
	Allow bool             // inject what is asked for with `dispatcher fault add`, and Items
	Items []injection.Item // injected from the start
}

func (f *FaultFlags) add(fl *pflag.FlagSet) {
	fl.BoolVar(&f.Allow, "allow-faults", false, "inject the faults on purpose that people ask for with 'dispatcher fault add', and those of --faults")
	fl.Var(&items{into: &f.Items}, "faults", "`faults` on purpose from the start, as tool=NAME&class=CLASS&for=DURATION, with commas between; a list of objects in a settings file; needs --allow-faults")
}

// Injector makes what a worker injects faults with; nil where it is not allowed to.
func (f *FaultFlags) Injector(logger *slog.Logger) (*injection.Injector, error) {
	if !f.Allow {
		if len(f.Items) > 0 {
			logger.Info("the settings have faults on purpose, but this worker does not inject any without --allow-faults")
		}
		return nil, nil
	}
	var own []injection.Order
	for _, it := range f.Items {
		o, err := it.Order(time.Now())
		if err != nil {
			return nil, err
		}
		logger.Warn("this worker injects a fault from the start: "+o.Where()+": "+o.Does(), "fault_id", o.ID, "rate", o.Rate, "until", o.Until)
		own = append(own, o)
	}
	return injection.NewInjector(own, time.Now, logger), nil
}

// items is the value of the flag: items as queries of URLs.
type items struct {
	into *[]injection.Item
	set  bool // the next ones are added
}

// String implements pflag.Value.
func (v *items) String() string {
	if v.into == nil {
		return ""
	}
	var all []string
	for _, it := range *v.into {
		all = append(all, url.Values(it).Encode())
	}
	return strings.Join(all, ",")
}

// Set implements pflag.Value.
func (v *items) Set(text string) error {
	var all []injection.Item
	for one := range strings.SplitSeq(text, ",") {
		it, err := injection.ParseItem(one)
		if err != nil {
			return err
		}
		all = append(all, it)
	}
	if v.set {
		all = append(*v.into, all...)
	}
	*v.into, v.set = all, true
	return nil
}

// Type implements pflag.Value; a settings file has a list of objects.
func (v *items) Type() string { return "objects" }
