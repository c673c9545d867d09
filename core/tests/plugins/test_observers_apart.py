"""Observers that raise, cannot be loaded, are not allowed, or use stores themselves do not affect a store."""

from faults.observer import HEARD

HOOKS = ("put", "get", "evict", "resolve")


def test_failures_are_no_events(observed):
    program = f"""
        {HEARD}
        store = psk.Store("s", "local://failing")
        say(error_of(lambda: store.put(number for number in ()))[0])
        say(error_of(lambda: store.get("../x"))[0], error_of(lambda: store.get([]))[0])
        say(error_of(lambda: store.evict(None))[0])
        say(error_of(lambda: psk.resolve(store.proxy_from_key("0" * 32)))[0])
        store.close()
        say(error_of(lambda: store.put(1))[0])
        say(heard())
    """
    assert observed.run(program) == [
        "SerializationError",
        ["InvalidKeyError", "InvalidKeyError"],
        "InvalidKeyError",
        "ProxyResolveMissingKeyError",
        "StoreClosedError",
        [],
    ]


def test_an_observer_that_raises_is_reported_once_per_hook_and_disturbs_nothing(observed):
    bad = "from psk import hookimpl\n" + "".join(
        f"@hookimpl\ndef psk_after_{hook}(store, key): raise {error}\n"
        for hook, error in zip(HOOKS, ("ValueError(key)", "SystemExit(1)", "1 / 0", "TypeError()"), strict=True)
    )
    observed.add("their-bad", {"observer.bad": "their_bad"}, {"their_bad": bad})
    program = f"""
        {HEARD}
        reports = []
        sys.unraisablehook = lambda report: reports.append([report.exc_type.__name__, report.err_msg, report.object])
        with psk.Store("s", "local://bad", metrics=True) as store:
            for _ in range(3):
                key = store.put([1])
                store.get(key)
                len(store.proxy_from_key(key))
                store.evict(key)
            say(store.metrics.failures, len(heard()))
        say([report[0] for report in reports], reports[0][1:])
    """
    assert observed.run(program) == [
        [{}, 12],
        [["ValueError", "SystemExit", "TypeError", "ZeroDivisionError"],
         ["Exception ignored in a plug-in of psk", "observer.bad: psk_after_put"]],
    ]  # fmt: skip


def test_an_observer_that_cannot_be_loaded_is_reported_and_left_out(observed):
    observed.add("their-bad", {"observer.bad": "their_bad"}, {"their_bad": "1 / 0"})
    observed.add("their-deaf", {"observer.deaf": "their_deaf"}, {"their_deaf": ""})
    observed.add("their-one", {"observer.twin": "their_bad"})
    observed.add("their-two", {"observer.twin": "their_bad"})
    program = f"""
        {HEARD}
        reports = []
        sys.unraisablehook = lambda report: reports.append(str(report.exc_value))
        for _ in range(2):
            with psk.Store("s", "local://bad") as store:
                store.evict(store.put([1]))
        say(len(heard()), len(reports), " ".join(reports), listed())
    """
    count, reported, reports, states = observed.run(program)[0]
    assert (count, reported) == (4, 3)
    assert "their-bad 1.0" in reports
    assert "their-deaf 1.0 implements none of the hooks of its kind" in reports
    assert "their-one 1.0 and their-two 1.0" in reports
    assert states["observer.theirs"] == "ok"
    assert states["observer.bad"] == states["observer.deaf"] == "broken"


def test_what_an_observer_does_itself_is_not_observed(site):
    plugin = """
        import psk
        from psk import hookimpl
        log = psk.Store("log", "local://log")
        events = []
        @hookimpl
        def psk_after_put(store, key):
            events.append(store)
            log.get(log.put(key))
            psk.get_store("s").put("from within")
        @hookimpl
        def psk_after_get(store): events.append("heard " + store)
    """
    site.add("their-observer", {"observer.theirs": "their_observer"}, {"their_observer": plugin})
    program = """
        with psk.Store("s", "local://observed", register=True) as store:
            store.put([1])
            import their_observer
            say(their_observer.events)
            store.clear()
            their_observer.log.clear()
    """
    assert site.run(program) == [["s"]]


def test_observers_that_are_not_allowed_are_not_loaded(observed):
    program = """
        with psk.Store("s", "local://plain") as store:
            say("their_observer" in sys.modules, "put" in vars(store))
    """
    assert observed.run(program, PSK_PLUGINS="connector.*") == [[False, False]]
    assert observed.stderr == ""
