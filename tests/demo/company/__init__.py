"""A day at a company: a made-up organisation whose AI traffic goes through the real gate, and the count of it.

Nordhaven is a health insurer with clinics that does not exist: 400 people in twelve departments, 25 AI products, 30
agents with 90 tools, contracts and gaps. Everything is drawn from one seed, so that the same day comes again.

    people, catalogue, agents, tools    who and what there is
    texts, values                       what is asked, and what must not leave
    exchange, wire                      one request with the truth about it, in the provider's wire format
    office, coding, services, trouble   who sends what: `day.day_of(Size)` is all of it, in order
    site                                what the organisation has written down: settings, policy, registers, keys
    answers, sending                    the providers on loopback, and the clients behind the real proxy
    truth, said, compared               counts made from the generator alone, what Sluice answers, and where they part
    running, showing                    the demonstration

The generator knows the truth: no count of `truth` looks at a record, a row or a detector. Nothing is inserted behind
the gate and no clock is set: everything happened now, and what needs weeks (trends, baselines) has nothing to show.
"""
