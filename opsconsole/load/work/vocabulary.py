"""Common English words, the most frequent first, each about one token in any model's vocabulary."""

from __future__ import annotations

_TEXT = """
the of and in to was he is as for on with that it his by at from her she you had an were but be
this are not my they one which or have him me first all also their has up who out been when
after there into new two its time would no what about said we over then other so more can if
like back them only some could where just during before do made school through than now years
most world may between down well three year while will later city under around did such being
used state people part know against your many second university both these known off way until
how even get head team because born film since still long work south us became any high again
day family see right man eyes house season war states including took life north same each called
name much place however go four group another found area here going away series left home music
best make hand number company several never last very album take end good too following released
game played little began district old want those side held own early county league use west face
think government march came small general town june line based something september thought
looked along international air club went our few east show member college father public come men
five set station church next former november room party located december age got system let love
though every look song water century without body black night within great women single building
large population river named band white started once should service top built open death king
moved local times children february book why door need president order final road although due
major village third knew asked turned wanted say together received main son served different
behind himself felt members power football law voice play near park history having mother army
point front help street art late hands games award young put published country division across
told often ever center six red led days include light find tell among species really according
central half form original gave office making enough lost full opened must included live given
player run business woman community cup might million land court development short round seen
class story always become sure research almost director council career things using island car
close force better free support control field students education married nothing worked others
record big inside level anything continued give military established returned feel does title
written thing feet far association hard already championship human western department hall role
various production heart living fire version television royal produced working act case society
region present radio period looking least total keep england wife program per brother mind
special works soon political services taken created further able reached union joined upon done
important social information either appeared position ground lead rock dark election board hair
course arms site police girl instead real sound words moment someone summer project announced
less wrote past followed blue founded finally taking records design considered northern god stop
battle toward outside described track today playing language call heard professional low miles
win yet green trying blood southern science maybe everything match square mouth video race
recorded leave above daughter points space museum change middle common move post lake seven
tried elected closed ten minister months start chief return person sea release similar modern
brought rest hit formed floor event doing care training star week needed turn finished rather
news health sent example ran term coming currently yes forces despite gold areas stage fact says
popular originally probably developed result pulled friend stood money running signed word songs
child eventually met tour average teams minutes festival current deep kind decided usually
eastern seemed episode bed added table private route available idea throughout centre addition
appointed style books eight construction press mean wall friends remained schools study
institute sometimes events possible type brown forward talk process food debut seat performance
committee features character arts herself else lot strong range hours morning sold quickly
directed guitar list performed media players smile myself placed coach province towards leading
whole boy official designed grand census attack cross getting alone action lower network wide
hospital believe changed sister hold gone ship studies academy shot rights below base bad
involved kept largest bank future especially beginning mark movement section female magazine
plan professor lord longer sat walked hill actually civil energy model families size thus
aircraft completed includes data captain fight vocals featured bridge fourth officer stone hear
means medical groups management self lips competition entire lived technology leaving federal
tournament bit passed hot independent awards kingdom spent fine reported fall raised itself stay
true studio sports replaced systems saint leader theatre whose market capital parents earth cut
degree writing bay awarded natural higher bill coast provided previous senior valley
organization stopped onto countries parts conference security interest saying allowed master
earlier phone matter winning try happened moving campaign breath nearly certain girls date
standing fell artist shows deal mine industry everyone provide collection library student
primary owned older via heavy makes attention anyone stated length ended fingers command staff
skin foreign opening governor okay medal sun cover job introduced chest hell feeling success
meet reason standard meeting novel trade source buildings rose guy goal chapter native husband
previously unit limited entered weeks producer operations mountain takes covered forced related
complete successful key cold channel traditional films dance clear approximately nine prince
question active tracks regional silver author personal sense operation economic holding twenty
additional speed hour edition regular historic places whom shook movie secretary prior report
read foundation view engine scored units ask airport property ready immediately lady month
listed contract manager themselves lines navy writer meant runs practice championships singer
glass commission required forest starting culture generally giving access attended test couple
stand caught executive eye thinking chair quite shoulder hope decision plays defeated
municipality whether structure offered slowly pain ice direction paper mission mostly noted
individual managed nature lives plant helped except studied computer figure relationship issue
significant loss smiled highest male bring goals problem distance commercial completely location
annual famous drive neck surface caused understand highway wrong hotel comes appearance double
issues musical companies castle income review assembly initially parliament artists experience
particular walk foot engineering talking window dropped miss baby boys break stars edge remember
policy carried train stadium bar evidence becoming assistant upper step wing youth financial
reach actor numerous nodded arrived minute believed sorry complex beautiful victory associated
temple chance perhaps metal bishop launched particularly tree retired subject prize contains
yeah theory empire suddenly waiting trust recording happy terms camp champion religious pass
names port ancient corner represented watch legal justice cause watched brothers material
changes simply response fast answer historical stories straight create feature increased rate
administration activities cultural overall winner programs basketball legs guard beyond cast
doctor flight results remains cost effect winter larger islands problems chairman grew commander
pay failed selected hurt fort box regiment majority journal plans shown pretty characters
directly scene likely operated allow spring junior matches looks houses fellow beach marriage
rules oil expected nearby congress peace recent wait subsequently cell variety serving agreed
please poor pacific attempt wood democratic piece prime rural mile touch appears township
soldiers closer fighting claimed score physical editor filled genus specific sitting super
therefore supported status fear cases store meaning minor tower focus vice follow parish
separate golden horse fifth remaining branch presented stared uses secret forms baseball exactly
choice note discovered travel composed truth ball color kiss wind continue ring referred numbers
digital greater metres slightly direct increase responsible crew rule trees troops broke goes
individuals hundred weight creek sleep memory defense provides ordered code value windows safe
judge whatever corps realized growing cities gaze lies spread letter showed situation mayor
transport watching workers extended expression normal chart multiple border host daily walls
piano heat cannot earned products drama authority seasons join grade sign difficult machine
territory mainly stations squadron stepped iron serve appear sky speak broken charge knowledge
kilometres removed ships article campus simple pushed leaves recently soft latter easy acquired
quality officers presence planned nations mass broadcast share image influence wild offer
emperor electric reading headed ability promoted yellow ministry throat smaller politician latin
spoke cars williams males lack pop acting seeing consists estate pressure newspaper olympics
online conditions beat elements walking vote needs text featuring global block shirt levels
purpose females duke ahead gas twice safety serious turning highly lieutenant firm amount mixed
proposed perfect agreement affairs seconds contemporary paid prison save kitchen label
administrative intended constructed academic nice teacher races formerly corporation nation
issued shut drums housing seems opera graduated function mentioned picked build recognized
shortly protection picture notable exchange elections loved percent racing fish garden volume
hockey beside settled competed replied drew actress marine steel glanced farm risk tonight
positive magic singles effects gray screen dog residents bus sides none secondary literature
destroyed flying founder households lay reserve gallery industrial younger approach appearances
urban ones finish avenue powerful fully growth page honor projects advanced revealed basic
infantry pair equipment visit evening search grant effort treatment buried republican primarily
bottom owner gives dream remain spot notes produce champions contact soul accepted ways losing
split price capacity basis trial questions guess officially memorial naval initial whispered
median engineer strength tears senate card agent software draw warm supposed transferred leaned
candidate escape mountains potential activity entertainment seem traffic slow product orchestra
haven agency taught website comedy unable storm planning albums rugby environment scientific
grabbed protect boat typically damage principal divided dedicated mount pick fought driver empty
shoulders sort thank prominent account freedom necessary efforts headquarters follows alongside
suggested operating learning steps sweet technical begin easily teeth speaking settlement scale
renamed enemy joint compared leadership analysis offers pieces captured animal deputy guest
organized combined method challenge huge wants battalion sons rise crime types facilities
telling path platform sit tells assigned rich pull commonly alive letters concept conducted
wearing happen bought becomes holy gets ocean defeat languages purchased coffee occurred titled
declared applied sciences concert sounds brain painting fleet tax count animals leaders episodes
content birth clubs palace critical refused fair leg laughed returning surrounding participated
formation lifted pointed connected medicine laid powers tall shared focused knowing yards
entrance falls calling sources chosen beneath resources yard nominated silence zone defined
gained thirty bodies moon adopted widely register apart premier serves unknown parties
generation continues quick fields brigade quiet teaching clothes impact weapons partner flat
theater supreme relations plants suffered kids begins seats armed internet models worth laws
communities classes background knows thanks quarter reaching humans carry format setting
architecture disease railroad possibly wish thoughts doors density crowd stomach tone unique
reports anyway liberal vehicle thick dry faced largely facility theme holds creation strange
colonel revolution bell politics turns silent rail relief independence combat shape write
determined sales learned finger providing heritage fiction situated designated allowing
distribution hosted sight interview estimated reduced footballer keeping guys claim motion sport
sixth stayed rear receive handed twelve dress audience granted spirit noticed olympic
representative tight trouble reviews drink missing roles ranked newly household finals wave
critics phase pilot unlike bright crown organizations roof respectively clearly tongue marked
circle bronze expanded sexual supply yourself inspired labour reference vision draft connection
brand reasons classic driving trip cells entry neither trail claims orders labor nose afraid
identified intelligence calls cancer attacked passing positions imperial grey avoid extra uncle
message covers allows surprise materials fame hunter citizens figures environmental confirmed
titles performing difference acts attacks existing votes opportunity nor shop entirely trains
opposite develop resulted representatives actions reality pressed barely wine conversation
faculty northwest ends documentary nuclear stock grace sets eat alternative bag resulting
creating surprised cemetery drop finding cricket streets tradition ride exhibition target ear
explained rain composer injury apartment municipal educational occupied clean billion
constitution learn maximum classical lose opposition bear core hills rolled ending drawn
permanent fun sites chamber scoring height lyrics staring officials snow oldest orange qualified
interior apparently succeeded thousand dinner lights existence fans heavily greatest
conservative send bowl plus enter catch economy duty speech authorities princess performances
versions shall graduate pictures effective remembered poetry desk crossed starring starts
passenger sharp acres weather falling rank fund supporting check adult publishing heads
southeast lane application condition transfer prevent display regions earl federation cool
relatively answered besides obtained portion mix reaction liked express peak counter religion
chain rare convention lie vehicles mobile perform squad wonder lying crazy sword attempted
centuries philosophy category interested wolf frequently abandoned literary alliance task
entitled threw promotion factory tiny soccer visited achieved defence internal methods arrested
otherwise programming villages elementary districts rooms criminal conflict worry trained
attempts waited signal bird truck subsequent programme communist details faith sector carrying
laugh controlled showing origin fuel evil brief identity darkness address pool missed
publication planet wings invited briefly standards kissed ideas climate causing worse articles
winners desire aged northeast dangerous gate doubt wooden poet rising funding communications
communication violence copies prepared investigation skills pulling electronic containing
ultimately offices singing understanding restaurant tomorrow fashion ward pope stands flow
studios aired commissioned contained exist fresh wrestling approved employed respect suit angel
asking increasing frame angry selling thin finds temperature statement explain inhabitants towns
extensive narrow flowers images promise somewhere object fly closely bureau weekly presidential
legislative launch founding artillery strike institutions roll writers landing chose anymore
attorney fit billboard receiving agricultural breaking sought admitted lands specifically hole
credit roads accident proved wear struck guards stuff slid expansion cat opposed southwest
architect failure plane map camera tank listen regarding wet introduction metropolitan link
fighter inch grown gene anger fixed buy domestic worldwide chapel mill functions examples
developing hits pocket papers grow unless circuit concerned attached journalist selection
journey converted provincial painted hearing bands negative aside wondered knight survey noise
shooting guide bedroom priest resistance motor homes sounded giant scenes equal comic patients
hidden solid actual bringing afternoon touched funds wedding consisted canal treaty recognition
residence cathedral broad knees incident shaped fired handle cheek contest represent
representing beauty birds advantage emergency wrapped drawing notice pink broadcasting somehow
bachelor seventh collected registered establishment assumed chemical personnel retirement wore
tied device threat progress advance banks hired teachers structures forever tennis helping
saturday sale applications junction incorporated neighborhood dressed ceremony influenced hers
visual stairs decades inner hung hoped gain scheduled downtown engaged clock certainly pale
protected employees plate putting surrounded finishing blues tropical consider accept retrieved
concern properties institution successfully backing outstanding crossing folk producing usual
demand occurs observed lawyer educated string pleasure budget items quietly typical derived
survived asks mental distinguished extremely athletic loud thousands worried shadow
transportation horses weapon arena importance users objects contributed dragon aware senator
sisters engines flag investment shock capable row wheel refers session familiar biggest wins
hate maintained drove request expressed injured underground churches walker wars tunnel passes
stupid agriculture softly cabinet regarded joining push dates spend behavior woods protein
gently chase mention burning wake combination occur mirror leads indeed impossible paintings
covering soldier locations attendance sell historian invasion argued painter changing
experienced inches grounds spoken reform rolling forget massive resigned burned locked values
improved wounded universe sick dating facing pack purchase user moments merged anniversary coal
brick understood causes dynasty establish stores crisis promote hoping views cards referee
extension raise improve colonial formal charged palm lucky hide rescue faces feelings candidates
goods courses weekend cash fallen delivered affected installed carefully tries costs
responsibility shore file proper normally assistance jump constant offering friendly waters
persons realize contain trophy partnership factor musicians bound indicated hero medium
consisting somewhat cycle beer gotten eleven worst weak approached arranged chin loan universal
bond fifteen pattern disappeared translated lip capture interests insurance shifted cave warning
sections courts coat plot smell feed golf favorite maintain knife voted degrees finance opinion
translation manner ruled operate productions choose musician discovery confused tired separated
stream techniques committed attend ranking kings throw passengers measure horror mining sand
danger salt calm decade require runner rush associate rivers consecutive sighed documents steam
edited closing tie accused distributed directors organisation breathing arrival concrete taste
composition shaking faster amateur adjacent stating twin flew publications obviously ridge
storage pages concluded desert driven universities ages terminal sequence borough constituency
creative cousin economics dreams notably reduce mode ears saved vocal riding roughly threatened
meters meanwhile landed compete repeated grass regularly charges tea sudden appeal solution
describes pierre classification glad parking belt physics add participate expedition damaged
gift childhood fifty mathematics jumped letting defensive testing hundreds shoot owners matters
smoke dancing mounted grandfather designs profit truly cole begun willing branches smiling
decide enjoyed recordings poverty ethnic accompanied fishing determine residential acid returns
starred mail strategy net forty cook businesses equivalent commonwealth distinct ill seriously
shift replace imagine formula ensure additionally scheme conservation occasionally purposes
feels favor contrast hanging hunt movies instruments victims busy demon sugar earliest colony
studying balance duties slipped visible stages fifa forming zero continuing talked counties
legend bathroom option tail clay daughters afterwards severe visitors devices aviation entering
subjects temporary swimming forth smooth ghost audio operates rocks movements signs voices
honorary memories pure measures racial promised parliamentary indicate benefit flesh patient
sleeping membership coastal medieval wanting element scholars rice limit survive makeup rating
definitely collaboration obvious boss baron birthday linked soil offensive shell waist plain
organ resolution manufacturing adding relative whilst marketing
"""

WORDS: tuple[str, ...] = tuple(_TEXT.split())

FIVES = tuple(word for word in WORDS if len(word) == 5)[:499]
"""Words of equal length, for texts that differ while their length stays; their number is prime."""
