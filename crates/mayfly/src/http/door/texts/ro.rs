//! Romanian.

use super::Texts;

/// The texts in Romanian.
pub(super) const ROMANIAN: Texts = Texts {
    privacy_name: "Confidențialitatea datelor",
    optout_name: "Renunțarea la colectare",
    pages: "Pagini",
    languages: "Limbi",
    footer: "Această pagină nu are nevoie de scripturi și nu încarcă nimic de pe alte servere.",
    day_one: "{n} zi",
    day_few: "{n} zile",
    day_many: "{n} de zile",
    done_opted_out: "Gata: ați renunțat la colectare. De acum înainte nu se mai colectează nimic \
        din acest browser.",
    done_opted_out_of_site: "Gata: ați renunțat la colectare pe site-ul de pe care ați venit, iar \
        ce se păstra a fost șters. Browserul află acest lucru la următoarea pagină de acolo. \
        Pentru a reveni, folosiți setările de confidențialitate ale acelui site.",
    done_opted_in: "Gata: renunțarea dumneavoastră a fost anulată.",
    done_erased: "Șters: ce se păstra despre acest browser nu mai poate fi văzut sau folosit. \
        Ultimele urme dispar din sistemele noastre la următoarele curățări.",
    done_nothing: "Nu a fost nimic de șters: despre acest browser nu se păstra nimic.",
    state_heading: "Acest browser",
    state_opted_out: "Ați renunțat la colectare: nu se colectează nimic din acest browser.",
    state_gpc: "Browserul dumneavoastră trimite semnalul Global Privacy Control. Pentru noi \
        înseamnă „nu”: nu se colectează nimic din acest browser.",
    state_collected: "Vizitele din acest browser se înregistrează sub numărul pseudonim {id}.",
    state_earlier: "Ce s-a înregistrat mai devreme, sub numărul pseudonim {id}, se păstrează încă. \
        Puteți vedea și șterge aceste date mai jos.",
    state_nothing: "Despre acest browser nu se păstrează nimic: nu are niciun număr la noi.",
    state_may_start: "Acest lucru se poate schimba la următoarea vizită pe un site care \
        colaborează cu noi, dacă nu renunțați la colectare.",
    link_expired: "Linkul care v-a adus aici nu mai este valabil. Deschideți din nou această pagină din \
        setările de confidențialitate ale site-ului.",
    state_apart: "Dacă browserul dumneavoastră ține separat cookie-urile fiecărui site, această pagină \
        nu poate vedea ce a rămas în urma vizitelor pe un site. În acest caz, veniți aici prin \
        linkul de confidențialitate de pe acel site.",
    state_open: "Nu ați renunțat la colectare: vizitele din acest browser pot fi înregistrate.",
    privacy_heading: "Ce se păstrează despre acest browser",
    lead_what: "Site-urile care colaborează cu noi înregistrează ce pagini ale lor deschide acest \
        browser, ca să aleagă conținut și reclame potrivite.",
    lead_pseudonymous: "Datele sunt pseudonimizate: sunt legate de un număr dintr-un cookie, nu de \
        numele, adresa de e-mail sau adresa IP.",
    lead_deleted: "Fiecare înregistrare se șterge după cel mult {days}.",
    held_heading: "Ce date se păstrează",
    segments_heading: "Segmente",
    segments_what: "Grupuri de browsere cu interese asemănătoare din care acesta face parte acum, \
        deduse din vizitele lui.",
    segments_none: "Acest browser nu face parte din niciun segment.",
    partners_heading: "Parteneri care cunosc acest browser",
    partners_what: "Partenerii noștri de publicitate recunosc acest browser după acești identificatori ai lor.",
    visits_heading: "Vizite înregistrate",
    visits_order: "Cele mai recente sunt primele",
    visits_none: "Nu este înregistrată nicio vizită.",
    visits_newest: "Lista arată cele mai recente {shown} din {total}; fișierul de descărcat le \
        conține pe toate.",
    visits_kept: "Fiecare vizită se șterge după cel mult {days}, iar segmentele care se bazează pe \
        ea dispar odată cu ea. Adresa IP nu se stochează.",
    column_time: "Când",
    column_site: "Site web",
    column_event: "Eveniment",
    column_page: "Pagina",
    column_categories: "Categorii",
    column_seconds: "Timp pe pagină",
    event_page_view: "afișare de pagină",
    event_engagement: "citire",
    event_ad_impression: "reclamă afișată",
    event_ad_click: "clic pe reclamă",
    event_conversion: "conversie",
    event_import: "preluat dintr-un fișier",
    actions_heading: "Ce puteți face",
    download_heading: "Luați datele cu dumneavoastră",
    download_what: "Un fișier JSON cu tot ce se păstrează despre acest browser.",
    download_link: "Descărcați fișierul",
    erase_heading: "Ștergeți datele",
    erase_what: "Tot ce se păstrează despre acest browser se șterge. Acest lucru nu poate fi \
        anulat.",
    erase_again: "Dacă nu renunțați și la colectare, o vizită ulterioară începe o evidență nouă.",
    erase_button: "Șterg tot",
    optout_heading: "Renunțați la colectare",
    optout_what: "Nu se mai înregistrează vizite din acest browser. Ce există deja rămâne până \
        când ștergeți datele sau expiră termenul.",
    optout_gpc: "Puteți renunța la colectare și aici; alegerea rămâne valabilă chiar dacă semnalul \
        este oprit cândva.",
    optout_button: "Renunț la colectare",
    optin_heading: "Permiteți din nou colectarea",
    optin_what: "Dacă permiteți din nou colectarea, cookie-ul de renunțare se șterge, iar vizitele \
        din acest browser pot fi din nou înregistrate.",
    optin_gpc: "Cât timp browserul trimite semnalul Global Privacy Control, tot nu se \
        înregistrează nimic.",
    optin_button: "Permit din nou colectarea",
    cookies_heading: "Cookie-urile pe care le folosim",
    cookie_name: "Nume",
    cookie_purpose: "La ce folosește",
    cookie_life: "Cât timp rămâne",
    id_purpose: "Conține numărul pseudonim, astfel încât vizitele din același browser să fie puse \
        laolaltă.",
    id_life: "{days} de la ultima vizită",
    probe_purpose: "Verifică dacă acest browser păstrează cookie-uri.",
    probe_life: "{minutes} minute",
    optout_purpose: "Ține minte că ați renunțat la colectare și nimic altceva.",
    optout_life: "{days}, numai dacă renunțați la colectare",
    rights_heading: "Drepturile dumneavoastră",
    rights_all: "Aveți dreptul să vedeți aceste date, să le luați cu dumneavoastră, să cereți \
        ștergerea lor și să vă opuneți folosirii lor. Pe această pagină puteți face toate acestea \
        direct, pe loc.",
    rights_each: "Fiecare browser și fiecare dispozitiv se socotește separat, așa că repetați \
        alegerea pe fiecare dintre ele.",
    rights_authority: "Dacă ceva vi se pare în neregulă, puteți depune o plângere la autoritatea \
        pentru protecția datelor din țara dumneavoastră.",
    rights_controller: "Responsabil pentru aceste date:",
    rights_contact: "Întrebări și cereri:",
    optout_of_site: "Veniți de pe un site care cunoaște acest browser numai pe paginile proprii. \
        Renunțarea este valabilă pentru acel site și șterge ce se păstrează.",
    optout_apart: "Dacă browserul dumneavoastră ține separat cookie-urile fiecărui site, renunțarea de \
        aici nu ajunge la niciunul. În acest caz, renunțați prin linkul de confidențialitate de pe \
        site-ul respectiv.",
    optout_lead: "Un singur clic, iar vizitele din acest browser nu se mai înregistrează.",
    does_heading: "Ce face renunțarea",
    does_stop: "Vizitele din acest browser nu se mai înregistrează, iar paginile pe care le \
        deschideți nu mai află segmentele lui.",
    does_last: "Este valabilă cât timp cookie-ul de renunțare ({cookie}) rămâne în acest browser, \
        cel mult {days}. Dacă vă ștergeți cookie-urile, renunțați din nou.",
    does_not_heading: "Ce nu face",
    does_not_erase: "Nu șterge ce s-a înregistrat înainte. Acele date expiră de la sine după cel \
        mult {days}.",
    does_not_reach: "Nu se extinde la celelalte browsere și dispozitive ale dumneavoastră: pe \
        fiecare trebuie să renunțați separat.",
    optout_to_privacy: "Vedeți și ștergeți ce se păstrează",
    privacy_to_optout: "Mai multe despre renunțare",
};
